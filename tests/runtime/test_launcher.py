"""Containers by the launcher: what they find inside, how they end, and what a start that fails says."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import struct
import time
from pathlib import Path

import pytest

from tests.harness.waiting import eventually, until
from tests.native.full_container import (
    CGROUPS,
    PATH,
    Wanted,
    container_plan,
    exec_plan,
)
from tests.native.lab import Ended, Lab, lab  # noqa: F401 - a fixture
from wherry.errors import LaunchFailed
from wherry.runtime.launcher import ExitStatus, Monitored, read_exit_file
from wherry.runtime.steps import CgroupWrite, Fd, Namespace, Plan, Rlimit, Seccomp, Symlink, Sysctl


def lines(ended: Ended) -> list[str]:
    return ended.output.decode().splitlines()


def test_a_container_has_its_own_world(lab: Lab) -> None:  # noqa: F811
    script = """
        hostname; echo $$; cat /proc/sys/kernel/random/uuid > /dev/null && echo proc
        for ns in mnt pid ipc uts net cgroup; do readlink /proc/self/ns/$ns; done
        grep -c cgroup /proc/mounts; ls /proc/self/fd | wc -l; umask; ip -o link | wc -l
    """
    said = lines(lab.shell(script))
    assert said[:3] == ["wherry-test", "1", "proc"]
    host = [os.readlink(f"/proc/self/ns/{name}") for name in ("mnt", "pid", "ipc", "uts", "net", "cgroup")]
    assert not set(said[3:9]) & set(host)
    assert said[9:] == ["9", "4", "0022", "1"]  # descriptors: 0, 1, 2, and the directory that ls reads


def test_mounts_are_docker_s(lab: Lab) -> None:  # noqa: F811
    table = {line.split()[1]: line.split() for line in lines(lab.shell("cat /proc/mounts"))}
    for path, kind, options in [
        ("/", "overlay", "rw"),
        ("/proc", "proc", "rw,nosuid,nodev,noexec"),
        ("/dev", "tmpfs", "rw,nosuid"),
        ("/dev/pts", "devpts", "rw,nosuid,noexec"),
        ("/dev/shm", "tmpfs", "rw,nosuid,nodev,noexec"),
        ("/dev/mqueue", "mqueue", "rw,nosuid,nodev,noexec"),
        ("/sys", "sysfs", "ro,nosuid,nodev,noexec"),
        ("/sys/fs/cgroup/memory", "cgroup", "ro,nosuid,nodev,noexec"),
        ("/proc/sys", "proc", "ro,nosuid,nodev,noexec"),
    ]:
        assert table[path][2] == kind and table[path][3].startswith(options), path


def test_hidden_and_read_only_paths(lab: Lab) -> None:  # noqa: F811
    script = """
        exec 2>&1
        cat /proc/keys /proc/timer_list | wc -c; ls /sys/firmware | wc -l
        echo 1 > /proc/sys/net/ipv4/ip_forward; touch /sys/firmware/x; echo 1 > /proc/sys/kernel/panic
        echo y > /sys/fs/cgroup/pids/pids.max; echo done
    """
    ended = lab.shell(script)
    assert [line for line in lines(ended) if "Read-only" not in line] == ["0", "0", "done"]
    assert ended.output.count(b"Read-only file system") == 4


def test_default_rights(lab: Lab) -> None:  # noqa: F811
    said = lines(lab.shell("grep -E '^(Cap|NoNewPrivs)' /proc/self/status", no_new_privileges=True))
    values = dict(line.split(":\t") for line in said)
    assert values.pop("NoNewPrivs") == "1"
    full = "00000000a80425fb"
    assert values == {"CapInh": "0" * 16, "CapPrm": full, "CapEff": full, "CapBnd": full, "CapAmb": "0" * 16}


def test_an_ordinary_user_has_no_rights(lab: Lab) -> None:  # noqa: F811
    said = dict(line.split(":\t") for line in lines(lab.shell("grep ^Cap /proc/self/status", user="ann")))
    assert said["CapEff"] == said["CapPrm"] == "0" * 16
    assert said["CapBnd"] == "00000000a80425fb"


@pytest.mark.parametrize(
    ("spec", "groups", "uid", "gid", "members", "home"),
    [
        ("", (), 0, 0, {0, 10}, "/root"),
        ("root", (), 0, 0, {0, 10}, "/root"),
        ("ann", (), 1000, 1000, {1000, 10, 60}, "/home/ann"),
        ("1000", (), 1000, 1000, {1000, 10, 60}, "/home/ann"),
        ("ann:wheel", (), 1000, 10, {10}, "/home/ann"),
        ("ann:77", (), 1000, 77, {77}, "/home/ann"),
        ("4711", (), 4711, 0, {0}, "/"),
        ("4711:4712", (), 4711, 4712, {4712}, "/"),
        (":ann", (), 0, 1000, {1000}, "/root"),
        ("4711", ("wheel", "99"), 4711, 0, {0, 10, 99}, "/"),
        ("2147483647", (), 2147483647, 0, {0}, "/"),
    ],
)
def test_users(
    lab: Lab,  # noqa: F811
    spec: str,
    groups: tuple[str, ...],
    uid: int,
    gid: int,
    members: set[int],
    home: str,
) -> None:
    said = lines(
        lab.shell("grep -E '^(Uid|Gid|Groups)' /proc/self/status; echo $HOME", user=spec, groups=groups)
    )
    assert said[0].split()[1:] == [str(uid)] * 4 and said[1].split()[1:] == [str(gid)] * 4
    assert set(map(int, said[2].split()[1:])) == members
    assert said[3] == home


@pytest.mark.parametrize(
    ("spec", "groups", "why"),
    [
        ("zed", (), "unable to find user zed: no matching entries in passwd file"),
        ("root:zed", (), "unable to find group zed: no matching entries in group file"),
        ("root", ("zed",), "unable to find group zed: no matching entries in group file"),
        ("-1", (), "uids and gids must be in range 0-2147483647"),
        ("2147483648", (), "uids and gids must be in range 0-2147483647"),
        ("0:4294967296", (), "uids and gids must be in range 0-2147483647"),
        ("99999999999999999999", (), "unable to find user"),
        ("odd", (), "unable to find user odd"),
    ],
)
def test_unknown_users(lab: Lab, spec: str, groups: tuple[str, ...], why: str) -> None:  # noqa: F811
    with pytest.raises(LaunchFailed, match=why):
        lab.shell("true", user=spec, groups=groups)


@pytest.mark.parametrize(
    ("argv", "why", "code"),
    [
        (("nosuch",), 'exec: "nosuch": executable file not found in $PATH', 127),
        (("",), 'exec: "": executable file not found in $PATH', 127),
        (("/nosuch",), 'exec: "/nosuch": stat /nosuch: no such file or directory', 127),
        (("/etc/passwd",), 'exec: "/etc/passwd": permission denied', 126),
        (("/etc",), 'exec: "/etc": is a directory: permission denied', 126),
        (("./tmp",), 'exec: "./tmp": is a directory', 126),
        (("/script",), 'exec: "/script": exec format error', 126),
        (("/orphan",), 'exec: "/orphan": no such file or directory', 127),
    ],
)
def test_commands_that_cannot_run(lab: Lab, argv: tuple[str, ...], why: str, code: int) -> None:  # noqa: F811
    for name, text in (("script", "echo no shebang\n"), ("orphan", "#!/no/such/interpreter\n")):
        (lab.bundle.root / name).write_text(text)
        (lab.bundle.root / name).chmod(0o755)
    with pytest.raises(LaunchFailed) as caught:
        asyncio.run(lab.run(Wanted(argv=argv)))
    assert why in caught.value.message
    assert (caught.value.name, caught.value.exit_code) == ("exec", code)
    assert lab.left_cgroups() == [] and not lab.socket_path.exists()


def test_a_child_that_is_killed_on_its_way_has_not_started(lab: Lab) -> None:  # noqa: F811
    kill_process = struct.pack("<HBBI", 6, 0, 0, 0x80000000)  # one instruction: whatever the call, die
    with pytest.raises(LaunchFailed, match="killed the process before it became the command"):
        lab.shell("true", before_user=(Seccomp(kill_process),))
    assert lab.left_cgroups() == []


def test_a_filter_is_in_force(lab: Lab) -> None:  # noqa: F811
    mkdir_numbers = (83, 258) if os.uname().machine == "x86_64" else (34, 34)
    program = [(0x20, 0, 0, 0)]  # the call's number; then EPERM (1) for mkdir and mkdirat
    program += [(0x15, 2 - i, 0, number) for i, number in enumerate(mkdir_numbers)]
    program += [(0x06, 0, 0, 0x7FFF0000), (0x06, 0, 0, 0x00050001)]
    packed = b"".join(struct.pack("<HBBI", *instruction) for instruction in program)
    ended = lab.shell(
        "exec 2>&1; mkdir /tmp/x; grep ^Seccomp: /proc/self/status", before_user=(Seccomp(packed),)
    )
    assert lines(ended) == ["mkdir: can't create directory '/tmp/x': Operation not permitted", "Seccomp:\t2"]


def test_other_steps_name_themselves(lab: Lab) -> None:  # noqa: F811
    steps = (Symlink("/proc", "/etc/passwd/x"),)
    with pytest.raises(LaunchFailed) as caught:
        asyncio.run(lab.run(Wanted(before_pivot=steps)))
    assert "(symlink: link /etc/passwd/x to /proc): not a directory" in caught.value.message
    assert (caught.value.name, caught.value.exit_code) == ("symlink", 128)
    assert lab.left_cgroups() == []


def test_a_wrong_plan_is_refused_untouched(lab: Lab) -> None:  # noqa: F811
    plan = container_plan(lab.bundle, Wanted())
    with pytest.raises(LaunchFailed, match="exec must be the last step"):
        asyncio.run(lab.launch(Plan(plan.steps[:-1])))
    assert lab.left_cgroups() == []


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -9 $$; sleep 9", 137)])
def test_exit_codes(lab: Lab, script: str, code: int) -> None:  # noqa: F811
    inner = f"sh -c '{script}'; exit $?"
    before = time.time_ns()
    ended = lab.shell(inner)
    assert (ended.status.code, ended.status.oom, ended.status.error) == (code, False, "")
    assert before <= ended.status.finished_ns <= time.time_ns()
    assert read_exit_file(lab.bundle.base / "c.exit") == ended.status
    assert lab.left_cgroups() == []


def test_signals_reach_the_first_process(lab: Lab) -> None:  # noqa: F811
    async def scenario() -> int:
        script = "trap 'exit 7' TERM; while :; do sleep 0.05; done"
        monitored = await lab.start(Wanted(argv=("sh", "-c", script)))
        await asyncio.sleep(0.2)
        monitored.signal(signal.SIGTERM)
        return (await lab.finish(monitored)).code

    assert asyncio.run(scenario()) == 7


def test_init_reaps_and_passes_signals_on(lab: Lab) -> None:  # noqa: F811
    async def scenario() -> tuple[int, bytes]:
        script = """
            echo $$; (sh -c 'sleep 0.05 & echo orphaned' ) ; sleep 0.3
            grep -l '^State:.Z' /proc/[0-9]*/status | wc -l; cat /proc/1/comm
            trap 'exit 7' TERM; kill -TERM 1; sleep 0.3
        """
        ended = await lab.run(Wanted(argv=("sh", "-c", script), init=True))
        return ended.status.code, ended.output

    code, output = asyncio.run(scenario())
    assert output.decode().split() == ["2", "orphaned", "0", "wherry-init"]
    assert code == 7


def test_limits(lab: Lab) -> None:  # noqa: F811
    ended = lab.shell("ulimit -n; ulimit -c", before_user=(Rlimit(7, 512, 1024), Rlimit(4, 0, 0)))
    assert lines(ended) == ["512", "0"]


@pytest.mark.skipif(bool(int(Path("/proc/self/status").read_text().split("CapEff:\t")[1][:16], 16) >> 24 & 1),
                    reason="this host may raise limits")  # fmt: skip
def test_a_limit_that_may_not_be_raised_is_a_warning(lab: Lab) -> None:  # noqa: F811
    ended = lab.shell("true", before_user=(Rlimit(7, 1 << 30, 1 << 30),))
    assert ended.status.code == 0
    assert ended.warnings and ended.warnings[0].startswith("rlimit: limit 7 may not be raised above")


def test_sysctls(lab: Lab) -> None:  # noqa: F811
    steps = (Sysctl("net/ipv4/ip_unprivileged_port_start", "99"), Sysctl("kernel/msgmax", "4096"))
    said = lines(
        lab.shell(
            "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/msgmax", before_pivot=steps
        )
    )
    assert said == ["99", "4096"]


def test_the_oom_killer_is_noticed(lab: Lab) -> None:  # noqa: F811
    plan = container_plan(lab.bundle, Wanted(argv=("tail", "/dev/zero")))
    limit = CGROUPS / "memory" / lab.bundle.name / "c" / "memory.limit_in_bytes"
    clone = next(i for i, step in enumerate(plan.steps) if step.name == "clone")
    steps = (*plan.steps[:clone], CgroupWrite(str(limit), "8000000"), *plan.steps[clone:])
    ended = asyncio.run(lab.collect(Plan(steps), b""))
    assert (ended.status.code, ended.status.oom) == (137, True)


def test_working_directory(lab: Lab) -> None:  # noqa: F811
    assert lines(lab.shell("pwd", cwd="/work/deep/er")) == ["/work/deep/er"]
    assert lines(lab.shell("pwd", cwd="/home/ann", user="4711:4711")) == ["/home/ann"]


# ---------------------------------------------------------------- execs


def test_exec_is_in_the_container(lab: Lab) -> None:  # noqa: F811
    async def scenario() -> list[Ended]:
        async with lab.running() as target:
            script = (
                "hostname; pwd; id -un; for n in mnt pid net ipc uts cgroup; do readlink /proc/1/ns/$n; done"
            )
            here = "for n in mnt pid net ipc uts cgroup; do readlink /proc/self/ns/$n; done; cat /proc/self/cgroup"
            return [
                await lab.execute(target, Wanted(argv=("sh", "-c", script), user="root", cwd="/home")),
                await lab.execute(target, Wanted(argv=("sh", "-c", here))),
                await lab.execute(
                    target, Wanted(argv=("sh", "-c", "tty; stty size"), tty=True, rows=5, columns=9)
                ),
                await lab.execute(target, Wanted(argv=("sh", "-c", "cat; exit 4"), stdin=True), b"from here"),
            ]

    first, second, third, fourth = asyncio.run(scenario())
    assert lines(first)[:3] == ["wherry-test", "/home", "root"]
    assert lines(first)[3:] == lines(second)[:6]
    assert "memory:/" in second.output.decode() and "wherry" not in second.output.decode()
    assert lines(third) == ["/dev/pts/0", "5 9"]
    assert (fourth.output, fourth.status.code) == (b"from here", 4)


def test_exec_does_not_wait_for_what_it_leaves_behind(lab: Lab) -> None:  # noqa: F811
    async def scenario() -> float:
        async with lab.running() as target:
            began = time.monotonic()
            ended = await lab.execute(target, Wanted(argv=("sh", "-c", "sleep 30 & echo told")))
            assert ended.output == b"told\n"
            return time.monotonic() - began

    assert asyncio.run(scenario()) < 5


@pytest.mark.parametrize(
    ("wanted", "why", "code"),
    [
        (Wanted(argv=("nosuch",)), 'exec: "nosuch": executable file not found in $PATH', 127),
        (Wanted(cwd="/nosuch"), 'chdir to cwd ("/nosuch") failed: no such file or directory', 127),
        (Wanted(user="zed"), "unable to find user zed", 128),
        (Wanted(env=("PATH=bin:/nowhere",)), 'exec: "true": executable file not found in $PATH', 127),
        (Wanted(env=()), 'exec: "true": executable file not found in $PATH', 127),
    ],
)
def test_execs_that_cannot_run(lab: Lab, wanted: Wanted, why: str, code: int) -> None:  # noqa: F811
    async def scenario() -> int:
        async with lab.running() as target:
            with pytest.raises(LaunchFailed) as caught:
                await lab.execute(target, wanted)
            assert why in caught.value.message
            assert (
                await lab.execute(target, Wanted(env=(PATH,)))
            ).status.code == 0  # the container is as before
            return caught.value.exit_code

    assert asyncio.run(scenario()) == code


def test_exec_in_a_container_that_has_gone(lab: Lab) -> None:  # noqa: F811
    async def scenario() -> None:
        monitored = await lab.start(Wanted(argv=("sleep", "1000")))
        pidfd = os.pidfd_open(monitored.init_pid)
        monitored.signal(9)
        await lab.finish(monitored)
        try:
            with pytest.raises(LaunchFailed, match="cgroup-attach"):
                await lab.launch(exec_plan(lab.bundle, Wanted()), fds={Fd.TARGET: pidfd})
        finally:
            os.close(pidfd)

    asyncio.run(scenario())


# ---------------------------------------------------------------- the monitor


def kilobytes(pid: int) -> tuple[int, int]:
    """PSS, and what is the process's own: the binary's pages are shared by all monitors."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    pss, own = (int(rollup.split(f"\n{name}:")[1].split()[0]) for name in ("Pss", "Anonymous"))
    return pss, own


def test_memory_of_an_idle_monitor(lab: Lab) -> None:  # noqa: F811
    async def scenario() -> tuple[tuple[int, int], tuple[int, int]]:
        script = "head -c 3000000 /dev/zero; sleep 1000"
        async with lab.running(Wanted(argv=("sh", "-c", script))) as monitored:
            fresh = kilobytes(monitored.pid)
            await asyncio.sleep(1.5)
            return fresh, kilobytes(monitored.pid)

    fresh, idle = asyncio.run(scenario())
    print(f"\nmonitor, PSS and own kB: {fresh} at the start, {idle} idle after 3 MB of output")
    assert idle[1] <= 100


def test_a_new_daemon_takes_over(lab: Lab) -> None:  # noqa: F811
    async def scenario() -> tuple[int, int]:
        first = await lab.start(Wanted(argv=("sh", "-c", "trap 'exit 9' TERM; while :; do sleep 0.05; done")))
        pid = first.init_pid
        await asyncio.sleep(0.2)  # until the trap is set
        first.close()
        second = await lab.launcher.take_over(lab.socket_path, None)
        assert second.init_pid == pid
        third = await lab.launcher.take_over(lab.socket_path, None)
        assert (await asyncio.wait_for(second.exited, 5)).error  # the newest connection is the one
        third.signal(signal.SIGTERM)
        return (await lab.finish(third)).code, pid

    code, pid = asyncio.run(scenario())
    assert code == 9 and not Path(f"/proc/{pid}").exists()


def test_a_daemon_without_a_descriptor_takes_over_once_it_has_one(lab: Lab) -> None:  # noqa: F811
    """That it cannot ask says nothing of who is to answer."""

    async def scenario() -> int:
        first = await lab.start(Wanted(argv=("sleep", "60")))
        pid = first.init_pid
        first.close()
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        taken: list[int] = []
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 1, limits[1])
        )
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.dup(0))

        def release() -> None:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            for descriptor in taken:
                os.close(descriptor)

        asyncio.get_running_loop().call_later(0.05, release)
        second = await lab.launcher.take_over(lab.socket_path, None)
        assert second.init_pid == pid and taken
        second.signal(signal.SIGKILL)
        return (await lab.finish(second)).code

    assert asyncio.run(scenario()) == 137


def test_an_exit_while_no_daemon_is_there(lab: Lab) -> None:  # noqa: F811
    async def scenario() -> None:
        monitored = await lab.start(Wanted(argv=("sh", "-c", "sleep 0.2; exit 6")))
        monitored.close()
        status = await until(lambda: read_exit_file(lab.bundle.base / "c.exit"))
        assert status is not None and status.code == 6
        assert await until(lambda: not lab.left_cgroups())
        with pytest.raises(OSError):
            await asyncio.sleep(0.1)
            await lab.launcher.take_over(lab.socket_path, None)

    asyncio.run(scenario())


def test_a_lost_monitor_takes_its_container_along(lab: Lab) -> None:  # noqa: F811
    async def scenario() -> Monitored:
        monitored = await lab.start(Wanted(argv=("sleep", "1000"), user="ann"))
        os.kill(monitored.pid, signal.SIGKILL)
        status = await lab.finish(monitored)
        assert (status.code, status.error) == (137, "its monitor ended without leaving an exit status")
        return monitored

    pid = asyncio.run(scenario()).init_pid
    assert eventually(lambda: not Path(f"/proc/{pid}").exists())
    for path in lab.left_cgroups():
        os.rmdir(path)


def test_what_is_left_of_a_container_in_the_host_s_pid_namespace_is_killed(lab: Lab) -> None:  # noqa: F811
    shared = Namespace.MOUNT | Namespace.IPC | Namespace.UTS | Namespace.NET | Namespace.CGROUP
    script = "setsid sleep 1000 & echo $!; exit 0"
    ended = lab.shell(script, namespaces=shared)
    pid = int(lines(ended)[0])
    assert not Path(f"/proc/{pid}").exists()
    assert lab.left_cgroups() == []


def test_the_next_start_waits_for_the_cgroups_to_go(lab: Lab) -> None:  # noqa: F811
    async def scenario() -> None:
        for _ in range(20):
            monitored = await lab.start(Wanted())
            await monitored.exited
        await lab.finish(monitored)

    asyncio.run(scenario())
    assert lab.left_cgroups() == []


def test_a_start_that_is_given_up(lab: Lab) -> None:  # noqa: F811
    async def scenario() -> None:
        task = asyncio.create_task(lab.start(Wanted(argv=("sleep", "1000"))))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await until(lambda: made() and not lab.left_cgroups())

    def made() -> bool:
        return (lab.bundle.base / "c.exit").exists()

    asyncio.run(scenario())
    status = read_exit_file(lab.bundle.base / "c.exit")
    assert status is not None and status.code == 137
    assert lab.left_cgroups() == []


def test_a_waiter_that_gives_up_does_not_disturb_another(lab: Lab) -> None:  # noqa: F811
    async def scenario() -> int:
        async with lab.running() as monitored:
            waiters = [asyncio.ensure_future(wait(monitored)) for _ in range(2)]
            await asyncio.sleep(0.05)
            waiters[0].cancel()
            monitored.signal(9)
            return (await waiters[1]).code

    async def wait(monitored: Monitored) -> ExitStatus:
        return await monitored.exited

    assert asyncio.run(scenario()) == 137
