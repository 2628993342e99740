import functools
import operator

import msgspec
import pytest

from tests.runtime.test_spec import build
from wherry.errors import InvalidArgument
from wherry.linux.classic_bpf import LINE, RETURN
from wherry.messages.container import Config, HostConfig, Mount
from wherry.runtime import oci_spec as oci
from wherry.runtime import steps
from wherry.runtime.cgroups import CgroupsV1, CgroupsV2
from wherry.runtime.plan import PlanContext, plan_container
from wherry.runtime.seccomp import SeccompProgram
from wherry.runtime.spec import JoinedNamespaces

V1 = CgroupsV1(
    "/cg", {"memory": "memory", "cpu": "cpu,cpuacct", "cpuacct": "cpu,cpuacct", "devices": "devices"}
)
V2 = CgroupsV2("/cg", frozenset({"memory", "cpu", "pids"}))
ROOT = steps.OverlayRoot("/layers", ("b", "a"), "/up", "/work", "/merged")
FILTER = SeccompProgram(LINE.pack(RETURN, 0, 0, 0x7FFF0000), 4)  # allows all
REFUSING = SeccompProgram(LINE.pack(RETURN, 0, 0, 0x00050001), 4)


def plan(
    host: HostConfig | None = None, config: Config | None = None, *, build_with=None, **context
) -> list[steps.Step]:
    spec, causes = build(host, config, **(build_with or {}))
    settings = {
        "root": ROOT,
        "cgroups": V1,
        "exit_file": "/exit",
        "spool_dir": "/spool",
        "seccomp": FILTER,
        **context,
    }
    return list(plan_container(spec, causes, PlanContext(**settings)).steps)


def names(plan: list[steps.Step]) -> list[str]:
    return [step.name for step in plan]


def of(plan: list[steps.Step], kind: type) -> list:
    return [step for step in plan if isinstance(step, kind)]


def test_order_of_a_default_container():
    order = list(dict.fromkeys(names(plan())))
    assert order == [
        "monitor",
        "stdio",
        "cgroup-create",
        "cgroup-write",
        "oom-counter",
        "clone",
        "cgroup-attach",
        "loopback-up",
        "sethostname",
        "sysctl",
        "propagation",
        "overlay-root",
        "mount",
        "bind",
        "read-only",
        "mknod",
        "symlink",
        "mask",
        "pivot-root",
        "seccomp",
        "chdir",
        "user",
        "capabilities",
        "exec",
    ]


def test_cgroups_are_entered_right_behind_the_clone():
    made = plan()
    clone = names(made).index("clone")
    attached = of(made, steps.CgroupAttach)
    assert made[clone + 1 : clone + 1 + len(attached)] == attached
    assert [step.path for step in attached] == [step.path for step in of(made, steps.CgroupCreate)]


def test_nothing_runs_on_the_host_behind_the_clone():
    made = plan(HostConfig(memory=64 << 20))
    clone = names(made).index("clone")
    host_kinds = (
        steps.Monitor,
        steps.Stdio,
        steps.Log,
        steps.HostFile,
        steps.CgroupCreate,
        steps.CgroupWrite,
    )
    assert not any(isinstance(step, host_kinds) for step in made[clone:])


def test_filter_before_rights_are_given_up_and_behind_with_no_new_privileges():
    tail = names(plan())[-5:]
    assert tail == ["seccomp", "chdir", "user", "capabilities", "exec"]
    tail = names(plan(HostConfig(security_opt=["no-new-privileges"])))[-6:]
    assert tail == ["no-new-privileges", "chdir", "user", "capabilities", "seccomp", "exec"]


@pytest.mark.parametrize(
    ("seccomp", "order"),
    [
        (FILTER, ["join-namespace", "seccomp", "chdir", "user", "capabilities", "enter-pids", "exec"]),
        (None, ["join-namespace", "chdir", "user", "capabilities", "enter-pids", "exec"]),
        (REFUSING, ["join-namespace", "enter-pids", "seccomp", "chdir", "user", "capabilities", "exec"]),
    ],
)
def test_others_see_a_process_that_has_its_rights_already(seccomp: SeccompProgram | None, order: list[str]):
    """But a filter that forbids what the entering needs comes behind it."""
    joined = {"joined": JoinedNamespaces(pid="/proc/5/ns/pid")}
    made = names(plan(HostConfig(pid_mode="container:x"), build_with=joined, seccomp=seccomp))
    assert [name for name in made[made.index("pivot-root") + 1 :] if name != "rlimit"] == order


def test_the_filter_is_last_with_no_new_privileges():
    joined = {"joined": JoinedNamespaces(pid="/proc/5/ns/pid")}
    host = HostConfig(pid_mode="container:x", security_opt=["no-new-privileges"])
    assert names(plan(host, build_with=joined))[-3:] == ["seccomp", "enter-pids", "exec"]
    assert names(plan(host, build_with=joined, seccomp=REFUSING))[-3:] == ["enter-pids", "seccomp", "exec"]


def test_procfs_is_that_of_the_joined_namespace():
    joined = {"joined": JoinedNamespaces(pid="/proc/5/ns/pid")}
    made = plan(HostConfig(pid_mode="container:x"), build_with=joined)
    shown = {mount.target: mount.pids for mount in of(made, steps.Mount)}
    assert shown.pop("/proc") == steps.Fd.PID and set(shown.values()) == {0}


def test_init_stands_last_before_the_command():
    assert names(plan(init=True))[-2:] == ["init", "exec"]


def test_a_default_container_keeps_the_fourteen():
    (kept,) = of(plan(), steps.Capabilities)
    assert (kept.bounding, kept.inheritable, kept.ambient) == (0xA80425FB, 0, 0)


def test_joining():
    host = HostConfig(network_mode="container:x", pid_mode="container:x")
    joined = JoinedNamespaces(network="/proc/5/ns/net", pid="/proc/5/ns/pid")
    made = plan(host, build_with={"joined": joined})
    order = names(made)
    net, pid = of(made, steps.JoinNamespace)
    assert (pid.fd, pid.namespaces) == (steps.Fd.PID, steps.Namespace.PID)
    assert (net.fd, net.namespaces) == (steps.Fd.NET, steps.Namespace.NET)
    assert order.index("clone") < made.index(net) < order.index("pivot-root") < made.index(pid)
    assert str(net.cause) == "request: --network container:x"
    (clone,) = of(made, steps.Clone)
    assert clone.namespaces == steps.Namespace.MOUNT | steps.Namespace.UTS | steps.Namespace.IPC
    assert "loopback-up" not in order


def test_causes_reach_the_steps():
    made = plan(HostConfig(memory=64 << 20, binds=["/a:/data:ro"]))
    (limit,) = [s for s in of(made, steps.CgroupWrite) if s.path.endswith("memory.limit_in_bytes")]
    assert (limit.value, str(limit.cause)) == ("67108864", "request: --memory 64m")
    (bind,) = [s for s in of(made, steps.Bind) if s.target == "/data"]
    assert str(bind.cause) == "request: -v /a:/data:ro"
    assert (bind.flags, bind.everywhere) == (steps.MountFlag.REC, steps.MountFlag.RDONLY)
    assert bind.propagation == steps.MountFlag.PRIVATE | steps.MountFlag.REC


@pytest.mark.parametrize(
    ("options", "flags", "everywhere"),
    [
        ({}, "REC", "RDONLY"),
        ({"ReadOnlyForceRecursive": True}, "REC", "RDONLY"),
        ({"ReadOnlyNonRecursive": True}, "REC RDONLY", ""),
        ({"NonRecursive": True}, "RDONLY", ""),
        ({"NonRecursive": True, "ReadOnlyNonRecursive": True}, "RDONLY", ""),
    ],
)
def test_how_far_down_a_read_only_bind_reaches(options, flags, everywhere):
    asked = msgspec.convert(
        {"Type": "bind", "Source": "/a", "Target": "/x", "ReadOnly": True, "BindOptions": options}, Mount
    )
    (bind,) = [step for step in of(plan(HostConfig(mounts=[asked])), steps.Bind) if step.target == "/x"]
    assert (bind.flags, bind.everywhere) == (flag_of(flags), flag_of(everywhere))


def flag_of(words):
    return functools.reduce(operator.or_, (steps.MountFlag[w] for w in words.split()), steps.MountFlag(0))


def test_only_binds_with_a_propagation_are_held_before_all_lets_go_of_the_host():
    made = plan(HostConfig(binds=["/a:/a", "/b:/b:rshared", "/c:/c:slave", "/d:/d:private"]))
    assert [step.source for step in of(made, steps.HoldTree)] == ["/b", "/c"]
    (propagation,) = of(made, steps.Propagation)
    assert propagation.flags == steps.MountFlag.PRIVATE | steps.MountFlag.REC
    assert all(made.index(held) < made.index(propagation) for held in of(made, steps.HoldTree))
    spread = {step.target: step.propagation for step in of(made, steps.Bind)}
    assert spread["/b"] == steps.MountFlag.SHARED | steps.MountFlag.REC
    assert (
        spread["/c"] == steps.MountFlag.SLAVE | steps.MountFlag.REC
    )  # what is below stays no peer of the host's


def test_terminal_and_working_directory():
    made = plan(config=Config(tty=True, working_dir="/srv/app"), stdin=True, rows=24, columns=80)
    (stdio,) = of(made, steps.Stdio)
    assert (stdio.tty, stdio.stdin, stdio.rows, stdio.columns) == (True, True, 24, 80)
    order = names(made)
    assert order.index("mknod") < order.index("console") < order.index("mask")
    assert of(made, steps.RootDirectory)[0].path == "/srv/app"
    assert of(made, steps.WorkingDirectory)[0].path == "/srv/app"


def test_user_and_groups():
    (user,) = of(plan(HostConfig(group_add=["audio", "7"]), Config(user="app:staff")), steps.User)
    assert (user.spec, user.groups) == ("app:staff", ("audio", "7"))


def test_own_dev_gets_no_nodes():
    assert of(plan(HostConfig(binds=["/dev:/dev"])), steps.MakeNode) == []
    assert len(of(plan(), steps.MakeNode)) == 6


def test_what_is_mounted_stands_for_the_node():
    binds = HostConfig(
        binds=["/dev/urandom:/dev/random", "/x:/dev/fd"], tmpfs={"/dev/zero": "", "/dev/tty/x/y": ""}
    )
    made = plan(binds)
    assert {s.path for s in of(made, steps.MakeNode)} == {"/dev/null", "/dev/full", "/dev/urandom"}
    assert "/dev/fd" not in {s.path for s in of(made, steps.Symlink)}


def test_read_only_root_comes_last_before_the_pivot():
    order = names(plan(HostConfig(readonly_rootfs=True)))
    assert order[order.index("pivot-root") - 1] == "read-only-root"


def test_v2():
    made = plan(HostConfig(memory=64 << 20), build_with={"cgroup_version": 2}, cgroups=V2)
    (clone,) = of(made, steps.Clone)
    assert clone.namespaces & steps.Namespace.CGROUP
    assert [s.fstype for s in of(made, steps.Mount) if s.target == "/sys/fs/cgroup"] == ["cgroup2"]
    assert len(of(made, steps.CgroupDevices)) == 1
    assert of(made, steps.OomCounter)[0].path.endswith("memory.events")


def minimal(**linux) -> oci.Spec:
    namespaces = [oci.LinuxNamespace(type="mount")]
    return oci.Spec(
        process=oci.Process(args=["x"], user=oci.User(uid=7, gid=8, additional_gids=[9])),
        root=oci.Root(path="/r"),
        linux=oci.Linux(**{"namespaces": namespaces, "cgroups_path": "/a/b", **linux}),
    )


CONTEXT = PlanContext(root=steps.BindRoot("/r"), cgroups=V1, exit_file="", spool_dir="/s")


def test_a_plain_oci_spec():
    made = list(plan_container(minimal(), {}, CONTEXT).steps)
    (user,) = of(made, steps.User)
    assert (user.spec, user.groups) == ("7:8", ("9",))
    assert of(made, steps.Capabilities) == []
    assert of(made, steps.BindRoot) == [steps.BindRoot("/r")]


def test_what_is_not_done_is_refused():
    hooked = minimal()
    hooked.hooks = oci.Hooks(prestart=[oci.Hook(path="/bin/x")])
    for spec in (
        hooked,
        minimal(uid_mappings=[oci.IdMapping(size=1)]),
        minimal(namespaces=[oci.LinuxNamespace(type="mount"), oci.LinuxNamespace(type="odd")]),
        minimal(namespaces=[]),
        minimal(personality={"domain": "LINUX32"}),
        oci.Spec(),
    ):
        with pytest.raises(InvalidArgument):
            plan_container(spec, {}, CONTEXT)


def test_same_input_same_bytes():
    spec, causes = build()
    context = PlanContext(root=ROOT, cgroups=V1, exit_file="/e", spool_dir="/s", seccomp=FILTER)
    one, two = plan_container(spec, causes, context), plan_container(spec, causes, context)
    assert one.encode() == two.encode()
    assert one.encode().startswith(b"WHPLAN\0\x01")


def test_every_step_describes_itself():
    for step in plan(HostConfig(memory=64 << 20, readonly_rootfs=True), Config(tty=True), init=True):
        assert step.describe()
