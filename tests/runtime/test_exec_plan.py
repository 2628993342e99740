from tests.runtime.test_plan import FILTER, V1, names, of
from tests.runtime.test_spec import ID, build
from wherry.messages.container import Config, HostConfig
from wherry.runtime import capabilities, steps
from wherry.runtime.exec_plan import ExecContext, ExecRequest, plan_exec

CONTEXT = ExecContext(cgroups=V1, spool_dir="/s", seccomp=FILTER, available=capabilities.known())


def plan(
    request: ExecRequest, host: HostConfig | None = None, config: Config | None = None
) -> list[steps.Step]:
    spec, _ = build(host, config)
    return list(plan_exec(request, spec, CONTEXT).steps)


def test_order():
    assert list(dict.fromkeys(names(plan(ExecRequest(("ls",)))))) == [
        "monitor",
        "stdio",
        "clone",
        "cgroup-attach",
        "join-namespace",
        "seccomp",
        "chdir",
        "user",
        "capabilities",
        "enter-pids",
        "exec",
    ]


def test_all_namespaces_are_joined_behind_the_cgroups():
    made = plan(ExecRequest(("ls",)))
    (joined,) = of(made, steps.JoinNamespace)
    assert joined.namespaces == (
        steps.Namespace.MOUNT
        | steps.Namespace.PID
        | steps.Namespace.NET
        | steps.Namespace.UTS
        | steps.Namespace.IPC
    )
    assert joined.fd == steps.Fd.TARGET
    (attached, *_) = of(made, steps.CgroupAttach)
    assert made.index(attached) < made.index(joined)
    assert attached.path == f"/cg/memory/wherry/{ID}"


def test_shared_namespaces_are_not_entered():
    made = plan(ExecRequest(("ls",)), HostConfig(pid_mode="host", network_mode="host"))
    (rest,) = of(made, steps.JoinNamespace)
    assert not rest.namespaces & (steps.Namespace.PID | steps.Namespace.NET)
    assert "enter-pids" not in names(made)


def test_the_containers_own_by_default():
    made = plan(
        ExecRequest(("ls",)), config=Config(user="app", working_dir="/srv", env=["A=1"], hostname="h")
    )
    assert of(made, steps.User)[0].spec == "app"
    assert of(made, steps.WorkingDirectory)[0].path == "/srv"
    assert "A=1" in of(made, steps.Exec)[0].env
    assert "HOSTNAME=h" in of(made, steps.Exec)[0].env


def test_what_the_request_changes():
    request = ExecRequest(("ls",), env=("A=2", "B=3", "HOSTNAME"), user="root", working_dir="/tmp", tty=True)
    made = plan(request, config=Config(user="app", env=["A=1"], hostname="h"))
    (run,) = of(made, steps.Exec)
    assert [e for e in run.env if not e.startswith("PATH=")] == ["A=2", "TERM=xterm", "B=3"]
    assert of(made, steps.User)[0].spec == "root"
    assert of(made, steps.WorkingDirectory)[0].path == "/tmp"
    assert of(made, steps.Console) == [steps.Console(bind=False)]
    assert str(of(made, steps.User)[0].cause) == "request: --user root"


def test_privileged():
    (kept,) = of(plan(ExecRequest(("ls",), privileged=True)), steps.Capabilities)
    assert kept.bounding == capabilities.mask(capabilities.known())
    (kept,) = of(plan(ExecRequest(("ls",))), steps.Capabilities)
    assert kept.bounding == 0xA80425FB


def test_no_new_privileges_holds_here_too():
    tail = names(plan(ExecRequest(("ls",)), HostConfig(security_opt=["no-new-privileges"])))[-7:]
    assert tail == ["no-new-privileges", "chdir", "user", "capabilities", "seccomp", "enter-pids", "exec"]


def test_term_goes_with_the_commands_terminal():
    def env(request: ExecRequest, config: Config) -> list[str]:
        return [e for e in of(plan(request, config=config), steps.Exec)[0].env if e.startswith("TERM=")]

    assert env(ExecRequest(("ls",)), Config(tty=True)) == []
    assert env(ExecRequest(("ls",), tty=True), Config()) == ["TERM=xterm"]
    assert env(ExecRequest(("ls",), tty=True), Config(env=["TERM=linux"])) == ["TERM=linux"]
    assert env(ExecRequest(("ls",)), Config(env=["TERM=linux"])) == ["TERM=linux"]
