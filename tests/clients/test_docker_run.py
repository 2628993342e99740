"""``docker run`` and ``create`` of the unmodified docker command line: options, streams, exit codes."""

from __future__ import annotations

import io
import json
import resource
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.harness import images
from tests.harness.daemon import Daemon
from tests.harness.waiting import eventually
from wherry.runtime import cgroups

pytestmark = pytest.mark.usefixtures("docker_cli")


def out(daemon: Daemon, *arguments: str | Path, **options: object) -> str:
    return daemon.docker(*arguments, **options).stdout.strip()  # type: ignore[arg-type]


def test_version_names_a_server_that_speaks_the_newest_api(daemon: Daemon) -> None:
    server = json.loads(out(daemon, "version", "--format", "{{json .Server}}"))
    assert server["ApiVersion"] == "1.51"
    assert server["MinAPIVersion"] == "1.24"
    assert server["Os"] == "linux"


def test_info_counts(daemon: Daemon) -> None:
    daemon.docker("run", "-d", "busybox", "sleep", "1000")
    info = json.loads(out(daemon, "info", "--format", "{{json .}}"))
    assert (info["Containers"], info["ContainersRunning"], info["Images"]) == (1, 1, 1)
    assert info["Driver"] == "overlay2"


def test_output_goes_to_the_stream_that_it_was_written_to(daemon: Daemon) -> None:
    done = daemon.docker("run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2")
    assert (done.stdout, done.stderr) == ("out\n", "err\n")


def test_input_reaches_the_container_and_its_end_too(daemon: Daemon) -> None:
    text = "".join(f"line {n}\n" for n in range(20_000))
    assert daemon.docker("run", "--rm", "-i", "busybox", "cat", input=text).stdout == text


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["true"], 0),
        (["sh", "-c", "exit 42"], 42),
        (["no-such-program"], 127),
        (["/bin/no-such-program"], 127),
        (["/etc/passwd"], 126),
        (["/etc"], 126),
    ],
)
def test_exit_code(daemon: Daemon, command: list[str], code: int) -> None:
    assert daemon.docker("run", "--rm", "busybox", *command, check=False).returncode == code


def test_a_limit_that_cannot_be_had_is_told(daemon: Daemon) -> None:
    most = int(Path("/proc/sys/fs/nr_open").read_text()) + 1
    own = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    done = daemon.docker(
        "run", "--rm", "--ulimit", f"nofile={most}:{most}", "busybox", "sh", "-c", "ulimit -Hn"
    )
    assert done.stdout == f"{own}\n"
    assert f"nofile={most}:{most} cannot be set on this host: the hard limit stays at {own}" in done.stderr


@pytest.mark.parametrize(
    ("user", "home", "wanted"),
    [
        ("0", "", "/root"), ("user", "", "/home/user"), ("4242", "", "/"), ("0", "/x", "/x"), ("user", "/x", "/x"),
    ],
)  # fmt: skip
def test_an_empty_home_is_none(daemon: Daemon, user: str, home: str, wanted: str) -> None:
    asked = ("-u", user, "-e", f"HOME={home}")
    show = ("sh", "-c", "env | grep ^HOME=")
    for init in ((), ("--init",)):
        assert out(daemon, "run", "--rm", *init, *asked, "busybox", *show) == f"HOME={wanted}"
    id = out(daemon, "run", "-d", "-e", "HOME=/elsewhere", "busybox", "sleep", "1000")
    assert out(daemon, "exec", *asked, id, *show) == f"HOME={wanted}"


def test_exit_code_125_where_docker_itself_fails(daemon: Daemon) -> None:
    assert daemon.docker("run", "--rm", "--memory", "1k", "busybox", "true", check=False).returncode == 125
    daemon.docker("create", "--name", "taken", "busybox")
    done = daemon.docker("run", "--name", "taken", "busybox", "true", check=False)
    assert done.returncode == 125
    assert 'The container name "/taken" is already in use' in done.stderr


def test_a_missing_command_is_named(daemon: Daemon) -> None:
    done = daemon.docker("run", "--rm", "busybox", "no-such-program", check=False)
    assert 'exec: "no-such-program": executable file not found in $PATH' in done.stderr
    assert out(daemon, "ps", "-aq") == ""


def test_options_that_describe_the_process(daemon: Daemon) -> None:
    script = "echo $GREETING $HOME; pwd; id -u; id -g; id -G; hostname"
    text = out(
        daemon, "run", "--rm", "-e", "GREETING=hello", "-w", "/var/tmp", "-u", "user", "-h", "box",
        "busybox", "sh", "-c", script,
    )  # fmt: skip
    assert text.splitlines() == ["hello /home/user", "/var/tmp", "1000", "1000", "1000 50", "box"]


def test_user_by_number_with_extra_group(daemon: Daemon) -> None:
    text = out(
        daemon, "run", "--rm", "-u", "7:8", "--group-add", "9", "busybox", "sh", "-c", "id -u; id -g; id -G"
    )
    assert text.splitlines() == ["7", "8", "8 9"]


def test_entrypoint_takes_the_command_as_arguments(daemon: Daemon) -> None:
    assert out(daemon, "run", "--rm", "--entrypoint", "echo", "busybox", "a", "b c") == "a b c"


def test_environment_file_and_labels(daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "env").write_text("ONE=1\nTWO=two words\n")
    daemon.docker(
        "run",
        "--name",
        "c1",
        "--env-file",
        tmp_path / "env",
        "-l",
        "team=red",
        "busybox",
        "sh",
        "-c",
        "echo $TWO",
    )
    assert out(daemon, "logs", "c1") == "two words"
    assert out(daemon, "ps", "-a", "--filter", "label=team=red", "--format", "{{.Names}}") == "c1"


def test_working_directory_is_made(daemon: Daemon) -> None:
    assert out(daemon, "run", "--rm", "-w", "/new/place", "busybox", "pwd") == "/new/place"


def test_bind_mounts(daemon: Daemon, shared_folder: Path) -> None:
    (shared_folder / "in").write_text("from the host")
    script = "cat /a/in; echo from the container > /a/out; echo x > /b/in"
    done = daemon.docker(
        "run",
        "--rm",
        "-v",
        f"{shared_folder}:/a",
        "-v",
        f"{shared_folder}:/b:ro",
        "busybox",
        "sh",
        "-c",
        script,
        check=False,
    )
    assert done.stdout == "from the host"
    assert "Read-only file system" in done.stderr
    assert (shared_folder / "out").read_text() == "from the container\n"


def test_mount_option_and_tmpfs(daemon: Daemon, shared_folder: Path) -> None:
    text = out(
        daemon, "run", "--rm", "--mount", f"type=bind,source={shared_folder},target=/m,readonly",
        "--tmpfs", "/scratch:size=1m,mode=1770", "busybox", "sh", "-c", "grep -E ' /(m|scratch) ' /proc/mounts",
    )  # fmt: skip
    bind, scratch = text.splitlines()
    assert " /m " in bind and bind.split()[3].startswith("ro")
    assert scratch.startswith("tmpfs /scratch tmpfs ") and "size=1024k" in scratch and "mode=1770" in scratch


def test_missing_bind_source(daemon: Daemon, shared_folder: Path) -> None:
    missing = shared_folder / "missing"
    done = daemon.docker("run", "--rm", "--mount", f"type=bind,src={missing},dst=/m", "busybox", check=False)
    assert done.returncode == 125 and "bind source path does not exist" in done.stderr
    daemon.docker("run", "--rm", "-v", f"{missing}:/m", "busybox", "true")
    assert missing.is_dir()


def test_read_only_root(daemon: Daemon) -> None:
    done = daemon.docker("run", "--rm", "--read-only", "busybox", "touch", "/x", check=False)
    assert done.returncode == 1 and "Read-only file system" in done.stderr


def test_limits_arrive_in_the_cgroup(daemon: Daemon) -> None:
    daemon.docker(
        "run",
        "-d",
        "--name",
        "c1",
        "-m",
        "64m",
        "--cpus",
        "0.5",
        "--pids-limit",
        "33",
        "busybox",
        "sleep",
        "99",
    )
    own = {name: value for folder in daemon.sandbox.cgroups() for name, value in limits(folder)}
    assert own["memory"] == str(64 << 20)
    assert own["cpu"] in ("50000", "50000 100000")
    assert own["pids"] == "33"


def limits(folder: Path) -> list[tuple[str, str]]:
    files = {
        "memory": ["memory.limit_in_bytes", "memory.max"],
        "cpu": ["cpu.cfs_quota_us", "cpu.max"],
        "pids": ["pids.max"],
    }
    found = [
        (kind, folder / name) for kind, names in files.items() for name in names if (folder / name).exists()
    ]
    values = [(kind, path.read_text().strip()) for kind, path in found]
    return [
        (kind, value)
        for kind, value in values
        if value not in ("max", "-1", "9223372036854771712", "max 100000")
    ]


def test_memory_limit_kills_and_says_so(daemon: Daemon) -> None:
    script = "x=$(dd if=/dev/zero bs=1M count=200 2>/dev/null | tr '\\0' x); echo survived"
    done = daemon.docker("run", "--name", "c1", "-m", "16m", "busybox", "sh", "-c", script, check=False)
    assert done.returncode == 137 and "survived" not in done.stdout
    assert daemon.inspect("c1")["State"]["OOMKilled"] is True


def test_pids_limit_holds(daemon: Daemon) -> None:
    script = "for n in 1 2 3 4 5 6 7 8; do sleep 5 & done; echo reached"
    done = daemon.docker("run", "--rm", "--pids-limit", "4", "busybox", "sh", "-c", script, check=False)
    assert done.returncode != 0 and "reached" not in done.stdout


def test_default_privileges(daemon: Daemon) -> None:
    status = out(
        daemon, "run", "--rm", "busybox", "grep", "-E", "^(CapEff|Seccomp|NoNewPrivs):", "/proc/self/status"
    )
    fields = dict(line.split(":\t") for line in status.splitlines())
    assert fields == {"CapEff": "00000000a80425fb", "Seccomp": "2", "NoNewPrivs": "0"}


def test_no_new_privileges_and_dropped_capabilities(daemon: Daemon) -> None:
    status = out(
        daemon, "run", "--rm", "--security-opt", "no-new-privileges", "--cap-drop", "ALL", "--cap-add", "CHOWN",
        "busybox", "grep", "-E", "^(CapEff|NoNewPrivs):", "/proc/self/status",
    )  # fmt: skip
    assert dict(line.split(":\t") for line in status.splitlines()) == {
        "CapEff": "0000000000000001",
        "NoNewPrivs": "1",
    }


def test_what_a_container_must_not_see_or_do(daemon: Daemon) -> None:
    script = (
        "mount -t tmpfs tmpfs /mnt 2>&1; cat /proc/kcore 2>/dev/null | wc -c; ls /proc/scsi 2>/dev/null | wc -l;"
        " echo 1 > /proc/sys/kernel/panic; unshare -m true 2>&1; mknod /dev/sda b 8 0 && head -c 1 /dev/sda 2>&1"
    )
    done = daemon.docker("run", "--rm", "busybox", "sh", "-c", f"mkdir -p /mnt; {script}", check=False)
    text = done.stdout + done.stderr
    assert "permission denied (are you root?)" in text or "Operation not permitted" in text
    assert "\n0\n0\n" in done.stdout
    assert "Read-only file system" in text
    assert "/dev/sda: Operation not permitted" in text


def test_pid_1_sees_only_its_own(daemon: Daemon) -> None:
    text = out(daemon, "run", "--rm", "busybox", "sh", "-c", "echo $$; ls -d /proc/[0-9]* | wc -l")
    pid, count = text.splitlines()
    assert pid == "1" and int(count) <= 3


def test_generated_files(daemon: Daemon) -> None:
    daemon.docker(
        "run", "-d", "--name", "c1", "-h", "box", "--add-host", "db:10.9.8.7", "busybox", "sleep", "99"
    )
    hosts = out(daemon, "exec", "c1", "cat", "/etc/hosts")
    address = daemon.inspect("c1")["NetworkSettings"]["IPAddress"]
    assert f"{address}\tbox" in hosts and "10.9.8.7\tdb" in hosts and "127.0.0.1\tlocalhost" in hosts
    assert out(daemon, "exec", "c1", "cat", "/etc/hostname") == "box"


def test_detached_prints_its_id_and_leaves_it_running(daemon: Daemon, tmp_path: Path) -> None:
    made = out(daemon, "run", "-d", "--cidfile", tmp_path / "cid", "--name", "c1", "busybox", "sleep", "99")
    assert len(made) == 64 and (tmp_path / "cid").read_text() == made
    assert out(daemon, "ps", "--no-trunc", "--format", "{{.ID}} {{.State}}") == f"{made} running"


def test_signals_are_passed_on(daemon: Daemon) -> None:
    script = "trap 'echo got it; exit 3' TERM; echo ready; while :; do sleep 0.05; done"
    process = subprocess.Popen(
        daemon.docker_argv("run", "--rm", "busybox", "sh", "-c", script),
        env=daemon.client_environment(), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.terminate()
    assert process.communicate(timeout=15)[0] == "got it\n"
    assert process.returncode == 3


def test_init_reaps_and_passes_signals_on(daemon: Daemon) -> None:
    show = "echo $$; cat /proc/1/comm; tr '\\0' ' ' </proc/1/cmdline"
    pid, name, command = out(daemon, "run", "--rm", "--init", "busybox", "sh", "-c", show).splitlines()
    assert pid != "1" and (name, command.strip()) == ("wherry-init", "wherry-init")


def test_auto_removed(daemon: Daemon) -> None:
    daemon.docker("run", "--rm", "--name", "c1", "busybox", "true")
    assert out(daemon, "ps", "-aq") == ""
    assert eventually(lambda: daemon.directories() == [])  # the bin is emptied off everybody's way


def test_large_output_arrives_whole(daemon: Daemon) -> None:
    done = subprocess.run(
        daemon.docker_argv("run", "--rm", "busybox", "dd", "if=/dev/zero", "bs=1M", "count=64"),
        env=daemon.client_environment(), capture_output=True, timeout=120, check=True,
    )  # fmt: skip
    assert len(done.stdout) == 64 << 20


def test_the_hosts_name_space_has_the_hosts_name(daemon: Daemon) -> None:
    name = daemon.run_in_ns(["hostname"]).stdout
    assert daemon.docker("run", "--rm", "--uts", "host", "busybox", "hostname").stdout == name
    refused = daemon.docker(
        "run", "--rm", "--uts", "host", "--hostname", "other", "busybox", "true", check=False
    )
    assert refused.returncode == 125 and "conflicting options: hostname and the UTS mode" in refused.stderr


def test_ports_that_an_image_exposes_are_no_conflict(daemon: Daemon, busybox_tar: bytes) -> None:
    made = daemon.api("POST", "/images/create?fromSrc=-&repo=exposing:1&changes=EXPOSE 80", raw=busybox_tar)
    assert made.status == 200
    daemon.docker("run", "-d", "--name", "c1", "busybox", "sleep", "1000")
    own = daemon.docker(
        "run", "--rm", "--network", "container:c1", "exposing:1", "ip", "addr", "show", "eth0"
    )
    assert own.stdout == daemon.docker("exec", "c1", "ip", "addr", "show", "eth0").stdout


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ("nosuch", "unable to find user nosuch: no matching entries in passwd file"),
        ("0:nosuch", "unable to find group nosuch: no matching entries in group file"),
        ("99999999999", "uids and gids must be in range 0-2147483647"),
    ],
)
def test_exec_as_nobody_known(daemon: Daemon, user: str, said: str) -> None:
    id = daemon.docker("run", "-d", "busybox", "sleep", "60").stdout.strip()
    done = daemon.docker("exec", "-u", user, id, "id", check=False)
    assert (done.returncode, done.stdout, said in done.stderr) == (1, "", True)
    assert done.stderr.startswith("Error response from daemon: ")


@pytest.mark.parametrize(
    "made",
    [
        "rm /etc/passwd",
        "rm /etc/passwd; mkfifo /etc/passwd",
        "rm /etc/passwd; mkdir /etc/passwd",
        "truncate -s 2M /etc/passwd",
        "truncate -s 60M /etc/passwd",
        "yes | head -c 7000000 > /etc/passwd",
        "printf '%s' nosuch-but-longer:x:1:1 > /etc/passwd",
    ],
)
def test_exec_as_nobody_of_an_odd_database(daemon: Daemon, made: str) -> None:
    id = daemon.docker("run", "-d", "busybox", "sh", "-c", f"{made}; touch /made; sleep 60").stdout.strip()
    daemon.docker("exec", id, "sh", "-c", "while [ ! -e /made ]; do :; done")
    done = daemon.docker("exec", "-u", "nosuch", id, "id", check=False, timeout=30)
    said = "Error response from daemon: unable to find user nosuch: no matching entries in passwd file\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)


@pytest.mark.parametrize("mounted", ["passwd", "folder", "by the container"])
def test_exec_as_somebody_of_a_database_behind_a_mount(
    daemon: Daemon, shared_folder: Path, mounted: str
) -> None:
    """Also when the file that was mounted is another one by now: what the container sees counts."""
    folder = shared_folder / "etc"
    folder.mkdir(exist_ok=True)
    (folder / "passwd").write_text("root:x:0:0::/:/bin/sh\nann:x:77:78::/:/bin/sh\n")
    options = {
        "passwd": ["-v", f"{folder}/passwd:/etc/passwd"], "folder": ["-v", f"{folder}:/etc"],
        "by the container": ["--privileged", "-v", f"{folder}:/source"],
    }[mounted]  # fmt: skip
    script = "test -d /source && mount --bind /source/passwd /etc/passwd; touch /made; sleep 60"
    id = daemon.docker("run", "-d", *options, "busybox", "sh", "-c", script).stdout.strip()
    daemon.docker("exec", id, "sh", "-c", "while [ ! -e /made ]; do :; done")
    for _ in range(2):
        assert daemon.docker("exec", "-u", "ann", id, "id", "-u").stdout == "77\n"
        done = daemon.docker("exec", "-u", "nosuch", id, "id", check=False)
        said = "Error response from daemon: unable to find user nosuch: no matching entries in passwd file\n"
        assert (done.returncode, done.stdout, done.stderr) == (1, "", said)
        (folder / "new").write_text((folder / "passwd").read_text())
        (folder / "new").rename(folder / "passwd")
    daemon.docker("rm", "-f", id)


@pytest.mark.parametrize("at", ["", "padding:x:5:5::/:/bin/sh\n" * 100_000], ids=["short", "long"])
def test_exec_as_somebody_of_an_odd_database(daemon: Daemon, at: str) -> None:
    """The last line of a database counts, also of a long one, and without an end."""
    id = daemon.docker("run", "-d", "busybox", "sleep", "60").stdout.strip()
    daemon.docker("exec", "-i", id, "sh", "-c", "cat > /etc/passwd", input=f"{at}last:x:77:78::/:/bin/sh")
    assert daemon.docker("exec", "-u", "last", id, "id", "-u").stdout == "77\n"


def test_exec_does_not_wait_for_a_container_that_looks_users_up_for_ever(daemon: Daemon) -> None:
    """What is behind a mount or is no file is not opened by the engine; links lead nowhere else."""
    made = "rm -f /etc/passwd; mkfifo /etc/passwd; ln -sf /proc/1/root/etc/shadow /etc/group; sleep 60"
    id = daemon.docker("run", "-d", "busybox", "sh", "-c", made).stdout.strip()
    daemon.docker("exec", id, "sh", "-c", "while [ ! -p /etc/passwd ] || [ ! -L /etc/group ]; do :; done")
    for user in ("nosuch", "0:nosuch"):
        assert daemon.docker("exec", "-u", user, id, "id", check=False, timeout=30).returncode != 0


def test_exec_in_no_absolute_directory(daemon: Daemon) -> None:
    id = daemon.docker("run", "-d", "busybox", "sleep", "60").stdout.strip()
    done = daemon.docker("exec", "-w", "rel", id, "pwd", check=False)
    assert done.returncode == 1 and "invalid WorkingDir: 'rel' is not an absolute path" in done.stderr


def test_every_container_has_what_docker_puts_into_it(daemon: Daemon, busybox_tar: bytes) -> None:
    """As dockerd 28.5: also over what the image has there; ``/etc`` is as in the image; what is removed stays so."""
    script = "stat -c '%n %F %a %u %s' /.dockerenv /etc; readlink /etc/mtab; grep -c ' / ' /etc/mtab"
    text = out(daemon, "run", "--rm", "busybox", "sh", "-c", script)
    assert text.splitlines() == [
        "/.dockerenv regular empty file 755 0 0",
        text.splitlines()[1],
        "/proc/mounts",
        "1",
    ]
    assert text.splitlines()[1].startswith("/etc directory 755 0 ")
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.addfile(images.entry("etc", tarfile.DIRTYPE, 0o750, uid=7, gid=8))
        images.add_file(tar, ".dockerenv", b"the image's")
        images.add_file(tar, "etc/mtab", b"the image's")
    daemon.load(images.docker_archive([busybox_tar, layer.getvalue()], ["own:1"], {"Cmd": ["sh"]}))
    daemon.docker(
        "run", "--name", "own", "own:1", "sh", "-c", f"{script}; stat -c '%a %u %g' /etc; rm /.dockerenv"
    )
    lines = daemon.docker("logs", "own").stdout.splitlines()
    assert lines[0] == "/.dockerenv regular empty file 755 0 0" and lines[2:] == [
        "/proc/mounts",
        "1",
        "750 7 8",
    ]
    daemon.docker("start", "-a", "own", check=False)
    assert "/.dockerenv" in daemon.docker("logs", "own").stderr
    linked = io.BytesIO()
    with tarfile.open(fileobj=linked, mode="w") as tar:
        images.add_file(tar, ".wh.etc", b"")
    last = io.BytesIO()
    with tarfile.open(fileobj=last, mode="w") as tar:
        tar.addfile(images.entry("etc", tarfile.SYMTYPE, 0o777, linkname="/tmp"))
    layers = [busybox_tar, linked.getvalue(), last.getvalue()]
    daemon.load(images.docker_archive(layers, ["linked:1"], {"Cmd": ["sh"]}))
    assert out(daemon, "run", "--rm", "linked:1", "sh", "-c", "stat -c %F /etc; ls /tmp") == "directory"


@pytest.mark.parametrize("options", [(), ("--init",), ("-t",)])
def test_a_command_that_is_its_own_executable(daemon: Daemon, options: tuple[str, ...]) -> None:
    """``/proc/self/exe`` is the launcher until the exec: there is no such command, as with Docker."""
    said = "exec /proc/self/exe: no such file or directory"
    script = r"printf '#!/proc/self/exe\n' > /script; chmod +x /script"
    daemon.docker("run", "-d", "--name", "other", *options, "busybox", "sleep", "600")
    daemon.docker("exec", "other", "sh", "-c", script)
    exec_options = [option for option in options if option == "-t"]
    ways = (
        ("run", "--rm", *options, "busybox", "/proc/self/exe", "true"),
        ("exec", *exec_options, "other", "/proc/self/exe"),
        ("exec", *exec_options, "other", "/script"),
    )
    for way in ways:
        done = daemon.docker(*way, check=False)
        assert done.returncode == 255 and said in done.stdout + done.stderr, way


def test_weights_that_the_host_does_not_weigh_by_are_told_and_left_out(daemon: Daemon) -> None:
    """No scheduler of this host weighs; with Docker the option is discarded, too."""
    device = next(path for path in Path("/dev").iterdir() if path.is_block_device())
    done = daemon.docker("run", "--rm", "--blkio-weight-device", f"{device}:200", "busybox", "echo", "here")
    assert done.stdout == "here\n"
    if cgroups.detect().version == 1:
        assert "Your kernel does not support Block I/O weight_device" in done.stderr
