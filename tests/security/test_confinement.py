"""What a container's process may do by default, in run and in exec: rights, calls, descriptors, paths, devices."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.daemon import Daemon
from tests.security.image import attack, results, run

DOCKER_CAPABILITIES = 0xA80425FB
MASKED = [
    "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug",
    "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware",
]  # fmt: skip
READ_ONLY = [
    "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
]  # fmt: skip
REFUSED = [
    "unshare-user", "unshare-mount", "unshare-net", "clone-user", "setns", "mount", "umount", "fsopen",
    "fsconfig", "open_tree", "move_mount", "mount_setattr", "pivot_root", "open_by_handle_at", "keyctl",
    "add_key", "request_key", "io_uring_setup", "io_uring_enter", "io_uring_register", "userfaultfd", "bpf",
    "perf_event_open", "init_module", "delete_module", "kexec_load", "swapon", "acct", "iopl", "ustat",
    "personality",
]  # fmt: skip


def start(
    daemon: Daemon, *options: str, image: str = "attacker", command: tuple[str, ...] = ("sleep", "600")
) -> str:
    return daemon.docker("run", "-d", *options, image, *command).stdout.strip()


def both(daemon: Daemon, *words: str, options: tuple[str, ...] = ()) -> list[str]:
    """The same command's output as a container's own, and by exec in one."""
    first = daemon.docker("run", "--rm", *options, "attacker", *words).stdout
    container = start(daemon, *options)
    return [first, daemon.docker("exec", container, *words).stdout]


def status_of(text: str) -> dict[str, str]:
    return {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}


@pytest.mark.parametrize(
    "options, expected",
    [
        ((), DOCKER_CAPABILITIES),
        (("--cap-add", "NET_ADMIN"), DOCKER_CAPABILITIES | 1 << 12),
        (("--cap-drop", "ALL"), 0),
        (("--cap-drop", "ALL", "--cap-add", "CHOWN"), 1),
    ],
)
def test_capabilities_are_exact(besieged: Daemon, options: tuple[str, ...], expected: int) -> None:
    """CVE-2022-24769, CVE-2022-29162: the inheritable set is empty, and no other holds more than was granted."""
    for text in both(besieged, "cat", "/proc/self/status", options=options):
        status = status_of(text)
        assert [int(status[f"Cap{kind}"], 16) for kind in ("Inh", "Amb")] == [0, 0]
        assert [int(status[f"Cap{kind}"], 16) for kind in ("Prm", "Eff", "Bnd")] == [expected] * 3


def test_another_user_has_no_capabilities(besieged: Daemon) -> None:
    for text in both(
        besieged, "cat", "/proc/self/status", options=("--user", "1000", "--cap-add", "NET_ADMIN")
    ):
        status = status_of(text)
        assert [int(status[f"Cap{kind}"], 16) for kind in ("Inh", "Prm", "Eff", "Amb")] == [0] * 4
        assert int(status["CapBnd"], 16) == DOCKER_CAPABILITIES | 1 << 12


def test_the_filter_is_on(besieged: Daemon) -> None:
    for text in both(besieged, "cat", "/proc/self/status"):
        assert status_of(text)["Seccomp"] == "2" and status_of(text)["NoNewPrivs"] == "0"


def test_dangerous_calls_are_refused(besieged: Daemon) -> None:
    """CVE-2022-0185, CVE-2022-0492, CVE-2026-31431 and their like: the kernel is not asked at all."""
    for text in both(besieged, "/attacker", "syscalls"):
        found = results(text)
        assert {name: found[name] for name in REFUSED} == dict.fromkeys(REFUSED, "EPERM")
        assert found["clone3"] == "ENOSYS"
        assert found["af_alg"] == found["af_vsock"] == "EPERM"
        assert [found[name] for name in ("clone-plain", "af_unix", "personality-default")] == ["ok"] * 3


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="other ways in are x86-64's")
def test_other_ways_into_the_kernel_are_filtered_too(besieged: Daemon) -> None:
    """32-bit and x32 calls. (An address family within the old socketcall is out of any filter's sight.)"""
    for text in both(besieged, "/attacker", "other-modes"):
        found = results(text)
        assert found["getpid32"] == "ok" or found["getpid32"] == "ENOSYS"
        refused = (
            "unshare32",
            "keyctl32",
            "io_uring_setup32",
            "af_alg32",
            "mount32",
            "unshare-x32",
            "keyctl-x32",
        )
        assert {found[name] for name in refused} <= {"EPERM", "ENOSYS"}
        assert found["clone3-32"] == "ENOSYS"


@pytest.mark.parametrize("capability", ["SYS_ADMIN", "SYS_PTRACE", "NET_ADMIN", "SYS_MODULE"])
def test_a_capability_opens_only_its_own_calls(besieged: Daemon, capability: str) -> None:
    found = attack(besieged, "syscalls", options=("--cap-add", capability))
    never = (
        "keyctl",
        "add_key",
        "io_uring_setup",
        "userfaultfd",
        "kexec_load",
        "swapon",
        "pivot_root",
        "af_alg",
    )
    assert {name: found[name] for name in never} == dict.fromkeys(never, "EPERM")


def test_no_new_privileges(besieged: Daemon) -> None:
    """A setuid shell gives root to another user, unless that is switched off; exec keeps to it."""
    words = ("/attacker-setuid", "status")
    for text in both(besieged, *words, options=("--user", "1000")):
        assert status_of(text)["Uid"].split()[1] == "0"
    for text in both(besieged, *words, options=("--user", "1000", "--security-opt", "no-new-privileges")):
        status = status_of(text)
        assert (
            status["NoNewPrivs"] == "1" and status["Seccomp"] == "2" and status["Uid"].split() == ["1000"] * 4
        )


JOINED = tuple(word for kind in ("network", "pid", "ipc") for word in (f"--{kind}", "container:other"))


@pytest.mark.parametrize(
    "options", [(), ("--init",), ("-i",), ("--network", "none"), ("--pid", "host"), JOINED], ids=str
)
def test_only_standard_descriptors_are_open(besieged: Daemon, options: tuple[str, ...]) -> None:
    """CVE-2024-21626, CVE-2016-9962: nothing of the host is left open."""
    start(besieged, "--name", "other", "--ipc", "shareable")
    for text in both(besieged, "/attacker", "belongings", options=options):
        assert [line.split(":")[0] for line in text.splitlines()] == ["fd 0", "fd 1", "fd 2"]
        assert all(line.split(": ")[1].startswith(("pipe:", "/dev/null")) for line in text.splitlines()), text


def test_descriptors_of_a_terminal(besieged: Daemon) -> None:
    text = besieged.docker("run", "--rm", "-t", "attacker", "/attacker", "belongings").stdout
    assert [line.strip() for line in text.splitlines()] == [f"fd {n}: /dev/pts/0" for n in range(3)]
    container = start(besieged, "-t")
    text = besieged.docker("exec", "-t", container, "/attacker", "belongings").stdout
    assert [line.split(":")[1].strip()[:9] for line in text.splitlines()] == ["/dev/pts/"] * 3


def test_masked_paths_are_empty(besieged: Daemon) -> None:
    script = "".join(
        f'[ ! -e {path} ] || [ -d {path} ] && [ -z "$(ls -A {path} 2>/dev/null)" ] || [ -c {path} ] || echo {path}\n'
        for path in MASKED
    )
    probe = "; head -c 1 /proc/kcore | wc -c; (echo x > /sys/firmware/x) 2>/dev/null && echo written; true"
    for text in both(besieged, "sh", "-c", script + probe.lstrip("; ")):
        assert text == "0\n"


def test_read_only_paths(besieged: Daemon) -> None:
    """CVE-2022-0492 needs a writable release_agent; CVE-2025-31133 ends in core_pattern."""
    script = """
    for file in /proc/sys/kernel/core_pattern /proc/sysrq-trigger /proc/sys/kernel/hostname \
        /proc/irq/default_smp_affinity \
        /proc/sys/vm/panic_on_oom /sys/kernel/mm/ksm/run /sys/class/net/lo/mtu; do
        (echo x >> $file) 2>/dev/null && echo "written: $file"
    done
    for folder in /sys /sys/fs/cgroup /sys/fs/cgroup/* /proc /proc/sys /proc/fs /proc/bus; do
        mkdir $folder/made 2>/dev/null && echo "made: $folder"
    done
    for file in $(find /sys/fs/cgroup -name release_agent -o -name cgroup.procs -o -name tasks); do
        (echo 0 > $file) 2>/dev/null && echo "written: $file"
    done
    mount -o remount,rw /proc/sys 2>/dev/null && echo remounted
    mount -o remount,rw /sys 2>/dev/null && echo remounted
    true
    """
    for text in both(besieged, "sh", "-c", script):
        assert text == ""


def test_cap_sys_admin_finds_no_writable_cgroup_either(besieged: Daemon) -> None:
    """Docker's mounts are read-only, which root with CAP_SYS_ADMIN can change; by itself nothing is open."""
    script = "mkdir /sys/fs/cgroup/memory/x /sys/fs/cgroup/x; echo x > /proc/sys/kernel/core_pattern"
    done = run(besieged, "--cap-add", "SYS_ADMIN", "attacker", "sh", "-c", script)
    assert done.returncode != 0 and done.stderr.lower().count("read-only file system") == 3, done.stderr


def block_device() -> tuple[int, int]:
    """A block device of this machine, or numbers that any driver might have."""
    with open("/proc/partitions") as file:
        for line in file.read().splitlines()[2:]:
            major, minor = line.split()[:2]
            return int(major), int(minor)
    return 8, 0


def test_devices_are_refused(besieged: Daemon) -> None:
    """CAP_MKNOD makes nodes; the cgroup's rules keep them shut. (/dev/net/tun is open, as with runc.)"""
    forbidden = [("b", *block_device()), ("c", 1, 1), ("c", 1, 11), ("c", 10, 229), ("c", 4, 1)]
    for kind, major, minor in forbidden:
        words = ("/attacker", "node", kind, str(major), str(minor))
        for text in both(besieged, *words):
            found = results(text)
            assert found["mknod"] == "ok" and found["read"] == found["write"] == "EPERM", (
                kind,
                major,
                minor,
                found,
            )
        besieged.remove_containers()
    assert attack(besieged, "node", "c", "1", "5")["read"] == "ok"


def test_device_rules_can_not_be_widened_from_inside(besieged: Daemon) -> None:
    script = "for f in $(find /sys/fs/cgroup -name devices.allow); do echo a > $f; done"
    done = run(besieged, "attacker", "sh", "-c", script)
    assert "ead-only file system" in done.stderr or done.stderr == ""


def test_namespaces_are_its_own(besieged: Daemon) -> None:
    script = "for n in mnt pid net ipc uts; do readlink /proc/self/ns/$n; done"
    texts = both(besieged, "sh", "-c", script)
    host = {os.readlink(f"/proc/{besieged.pid}/ns/{kind}") for kind in ("mnt", "pid", "net", "ipc", "uts")}
    for text in texts:
        assert len(text.splitlines()) == 5 and not host & set(text.splitlines())


def test_shared_memory_is_bounded(besieged: Daemon) -> None:
    script = "for f in /dev/shm/x /dev/x; do dd if=/dev/zero of=$f bs=1M count=100 2>&1; wc -c < $f; done"
    done = run(besieged, "attacker", "sh", "-c", script)
    assert [line for line in done.stdout.splitlines() if line.isdigit()] == [str(64 << 20)] * 2
    assert "No space left" in done.stdout


def test_a_fork_bomb_stays_within_its_limit(besieged: Daemon) -> None:
    container = start(besieged, "--pids-limit", "60", command=("/attacker", "bomb", "600"))
    top = besieged.api("GET", f"/containers/{container}/top").body
    assert 1 <= len(top["Processes"]) <= 60
    assert besieged.docker("run", "--rm", "attacker", "echo", "alive").stdout == "alive\n"
    assert besieged.docker("rm", "-f", container).returncode == 0
    assert not any("bomb" in line for line in besieged.sandbox.processes().values())


def test_a_fork_bomb_among_the_hosts_processes_ends_with_its_container(besieged: Daemon) -> None:
    """Without a PID namespace that takes all with it, members of the cgroup are hunted down while they multiply."""
    script = "for i in 1 2 3 4; do /attacker bomb 600 & done; sleep 1"
    done = run(besieged, "--pid", "host", "--pids-limit", "60", "attacker", "sh", "-c", script)
    assert done.returncode == 0
    for _ in range(100):
        left = [line for line in besieged.sandbox.processes().values() if "bomb" in line]
        if not left:
            break
        besieged.sandbox.run("sleep 0.05")
    assert left == []


@pytest.mark.parametrize(
    "calls, code",
    [
        (["setresuid", "setgroups", "setresgid"], 0),
        (["capset"], 0),
        (["prctl"], 0),
        (["setresuid"], 1),
        (["write"], 1),
        (["close_range", "close"], 1),
    ],
)
@pytest.mark.parametrize("options", [(), ("--init",), ("--user", "1000")])
def test_profiles_that_lie(besieged: Daemon, options: tuple[str, ...], calls: list[str], code: int) -> None:
    """A filter that lets a call fail, or feigns its success, never leaves a command with more rights than it has."""
    rule = {"names": calls, "action": "SCMP_ACT_ERRNO", "errnoRet": code}
    profile = besieged.base / "profile.json"
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))
    words = ("--security-opt", f"seccomp={profile}", "attacker", "/attacker", "status")
    done = run(besieged, *options, *words, timeout=10)
    if done.returncode == 0:
        status = status_of(done.stdout)
        user = options[1] if options[:1] == ("--user",) else "0"
        assert status["Uid"].split() == [user] * 4
        assert int(status["CapBnd"], 16) == DOCKER_CAPABILITIES
        assert int(status["CapEff"], 16) == (DOCKER_CAPABILITIES if user == "0" else 0)
    else:
        assert (
            done.returncode == 125 and "start container process" in done.stderr
        ) or "profile" in done.stderr, done


def test_the_daemons_oom_score_is_not_inherited(fresh_daemon: Callable[..., Daemon]) -> None:
    """A daemon that the OOM killer is to spare would have containers that it spares, too."""
    mine = Path("/proc/self/oom_score_adj")
    before = mine.read_text()
    mine.write_text("300")
    try:
        daemon = fresh_daemon()
    finally:
        mine.write_text(before)
    assert Path(f"/proc/{daemon.pid}/oom_score_adj").read_text() == "300\n"
    script = ("cat", "/proc/self/oom_score_adj")
    container = daemon.docker("run", "-d", "busybox", "sleep", "600").stdout.strip()
    assert daemon.docker("run", "--rm", "busybox", *script).stdout == "0\n"
    assert daemon.docker("exec", container, *script).stdout == "0\n"


@pytest.mark.parametrize("options", [(), ("--init",), ("-t",), ("--user", "1000")])
def test_no_signal_is_ignored_or_blocked(besieged: Daemon, options: tuple[str, ...]) -> None:
    """Also not the two that glibc keeps for its threads, and ignores in what it spawns."""
    besieged.docker("run", "-d", "--name", "open", *options, "busybox", "sleep", "600")
    for command in (["run", "--rm", *options, "busybox"], ["exec", "open"]):
        text = besieged.docker(*command, "grep", "-E", "^Sig(Ign|Blk)", "/proc/self/status").stdout
        assert {line.split()[1] for line in text.splitlines()} == {"0" * 16}, (command, text)


OF_PROC = (
    "/proc/self/root",
    "/proc/self/cwd",
    "/proc/1/root",
    "/proc/1/cwd",
    "/proc/thread-self/root",
    "/proc/self/root/tmp",
)


@pytest.mark.parametrize("directory", OF_PROC)
def test_a_working_directory_behind_a_link_of_proc(daemon: Daemon, directory: str) -> None:
    """The container's own, as with dockerd, for a first process and for one that comes in."""
    where = directory.removeprefix("/proc/self/root") if directory.endswith("/tmp") else "/"
    assert daemon.docker("run", "--rm", "-w", directory, "busybox", "pwd").stdout.strip() == where
    daemon.docker("run", "-d", "--name", "c1", "busybox", "sleep", "1000")
    assert daemon.docker("exec", "-w", directory, "c1", "pwd").stdout.strip() == where
    daemon.docker("rm", "-f", "c1")


def test_a_working_directory_that_is_of_the_process_that_comes_in(daemon: Daemon) -> None:
    daemon.docker("run", "-d", "--name", "c1", "busybox", "sleep", "1000")
    assert re.fullmatch(r"/proc/\d+/fd\n", daemon.docker("exec", "-w", "/dev/fd", "c1", "pwd").stdout)
    none = daemon.docker("exec", "-w", "/proc/self/nosuch", "c1", "pwd", check=False)
    assert 'chdir to cwd ("/proc/self/nosuch") failed: no such file or directory' in none.stdout + none.stderr
    daemon.docker("rm", "-f", "c1")


def test_no_descriptor_is_a_working_directory_outside(daemon: Daemon) -> None:
    """CVE-2024-21626. What can be entered is the container's root, or is refused."""
    look = "test . -ef / && ls"
    inside = daemon.docker("run", "--rm", "-w", "/", "busybox", "sh", "-c", look).stdout
    daemon.docker("run", "-d", "--name", "c1", "busybox", "sleep", "1000")
    for number in range(20):
        path = f"/proc/self/fd/{number}"
        first = daemon.docker("run", "--rm", "-w", path, "busybox", "sh", "-c", look, check=False)
        entered = daemon.docker("exec", "-w", path, "c1", "sh", "-c", look, check=False)
        assert first.returncode in (125, 127) or first.stdout == inside, (number, first)
        assert entered.returncode != 0 or entered.stdout == inside, (number, entered)
    daemon.docker("rm", "-f", "c1")


def test_a_working_directory_that_is_a_file(daemon: Daemon) -> None:
    failed = daemon.docker("run", "--rm", "-w", "/etc/passwd", "busybox", "pwd", check=False)
    assert failed.returncode == 125 and "Cannot mkdir: /etc/passwd is not a directory" in failed.stderr
