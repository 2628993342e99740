"""Run tests on control groups of version 2 and on a distribution's kernel: in a virtual machine of this machine's tree.

    python -m scripts.try_cgroup2 [--kernel DIR] [--memory MIB] [PYTEST ARGUMENT …]
    python -m scripts.try_cgroup2 --module benchmarks --engines wherry --cases lives,exec

A stock Debian cloud kernel boots in QEMU (KVM where it works, else emulated) with this machine's files as its root:
virtiofsd serves them read-only, and an overlay keeps what the machine writes in its memory. There is no network
device. Without arguments the tests are those of ``tests/clients/test_cgroup2.py``.

Needs qemu-system-x86_64 with virtiofsd, and busybox-static; the kernel is fetched with apt-get the first time and
kept in /var/cache/wherry-test.
"""

from __future__ import annotations

import argparse
import gzip
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHE = Path("/var/cache/wherry-test")
PACKAGE = "linux-image-cloud-amd64"
BUSYBOX = Path("/bin/busybox")
VIRTIOFSD = (Path("/usr/libexec/virtiofsd"), Path("/usr/lib/qemu/virtiofsd"))
PYTEST = ["pytest", "-p", "no:cacheprovider"]
TESTS = ["-q", "tests/clients/test_cgroup2.py"]
BOOT_MODULES = ("virtio_pci", "virtiofs", "overlay")
ENDED = re.compile(r"^wherry-vm: exit (\d+)\s*$", re.MULTILINE)

BOOT = """#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs dev /dev
for module in $($b cat /modules/order); do $b insmod /modules/$module; done
$b mount -t virtiofs -o ro host /host || $b poweroff -f
$b mount -t tmpfs tmpfs /writes
$b mkdir /writes/files /writes/work
$b mount -t overlay -o lowerdir=/host,upperdir=/writes/files,workdir=/writes/work root /root
for at in proc sys dev; do $b mount --move /$at /root/$at; done
$b mkdir -p /root/lib/modules /root/run
$b cp /inside /root/wherry-inside
exec $b switch_root /root /bin/sh /wherry-inside
"""

INSIDE = """
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
ln -sf /proc/self/fd /dev/fd
mount -t tmpfs tmpfs /dev/shm
mount -t cgroup2 -o nsdelegate,memory_recursiveprot cgroup2 /sys/fs/cgroup
rm -rf /lib/modules/{version}
cp -r {modules} /lib/modules/{version}
[ -e /sbin/modprobe ] || ln -s {busybox} /sbin/modprobe
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t tmpfs tmpfs /run
ip link set lo up
hostname vm
cd {root}
export PATH={path} HOME=/root PYTHONPATH={root}/src
{python} -c 'import pytest, wherry.daemon'  # compiled and cached, before any clock runs
echo "wherry-vm: $(uname -r), $(cut -d. -f1 /proc/uptime) s after power on"
{command} </dev/null &
wait $!
echo "wherry-vm: exit $?"
{busybox} poweroff -f
"""


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options, arguments = parser().parse_known_args()
    if missing := [need for need in ("qemu-system-x86_64", "unshare") if shutil.which(need) is None]:
        print(f"try_cgroup2: install {', '.join(missing)}", file=sys.stderr)
        return 2
    kernel = options.kernel or fetched_kernel()
    with tempfile.TemporaryDirectory(prefix="wherry-vm-") as folder:
        work = Path(folder)
        ramdisk = work / "initramfs"
        command = [sys.executable, "-m", *(options.module or PYTEST), *(arguments or TESTS)]
        ramdisk.write_bytes(gzip.compress(b"".join(initramfs(kernel, inside(kernel, command))), 1))
        with shared_tree(work) as socket:
            return run(qemu_command(kernel, ramdisk, socket, options.memory), options.minutes * 60)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    made.add_argument("--kernel", type=Path, help="an unpacked kernel package: boot/vmlinuz-*, lib/modules/*")
    made.add_argument("--memory", type=int, default=3072, help="MiB of the virtual machine")
    made.add_argument("--module", nargs=1, help="a module to run in place of pytest")
    made.add_argument("--minutes", type=float, default=30, help="end it after so long")
    return made


# ---------------------------------------------------------------- the kernel


def fetched_kernel() -> Path:
    """The kernel package's files, unpacked in the cache."""
    names = subprocess.run(
        ["apt-cache", "depends", PACKAGE], check=True, text=True, capture_output=True
    ).stdout
    (name,) = re.findall(r"Depends: (linux-image-\S+)", names)
    tree = CACHE / str(name)
    if tree.exists():
        return tree
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        subprocess.run(["apt-get", "-q", "download", name], check=True, cwd=folder)
        (archive,) = Path(folder).glob("*.deb")
        subprocess.run(["dpkg", "-x", archive, f"{folder}/tree"], check=True)
        subprocess.run(
            [BUSYBOX, "depmod", "-b", f"{folder}/tree", version_of(Path(folder, "tree"))], check=True
        )
        Path(folder, "tree").rename(tree)
    return tree


def version_of(kernel: Path) -> str:
    return modules_of(kernel).name


def modules_of(kernel: Path) -> Path:
    folders = [*kernel.glob("lib/modules/*"), *kernel.glob("usr/lib/modules/*")]
    return folders[0]


def boot_modules(folder: Path) -> list[Path]:
    """What the root needs, each after what it depends on. modules.dep lists the nearest first."""
    lines = (line.partition(":") for line in (folder / "modules.dep").read_text().splitlines())
    needs = {Path(name).name.partition(".")[0]: (name, rest.split()) for name, _, rest in lines}
    ordered = dict[str, None]()
    for module in BOOT_MODULES:
        visit(module, needs, ordered)
    return [folder / name for name in ordered]


def visit(module: str, needs: dict[str, tuple[str, list[str]]], ordered: dict[str, None]) -> None:
    name, required = needs[module]
    for other in required:
        visit(Path(other).name.partition(".")[0], needs, ordered)
    ordered.setdefault(name)


# ---------------------------------------------------------------- the first root


def initramfs(kernel: Path, inside: str) -> Iterator[bytes]:
    """A cpio archive, "newc" format. kernel, driver-api/early-userspace/buffer-format.rst."""
    for folder in ("bin", "proc", "sys", "dev", "host", "writes", "root", "modules"):
        yield cpio_entry(folder, 0o40755, b"")
    modules = boot_modules(modules_of(kernel))
    yield cpio_entry("init", 0o100755, BOOT.encode())
    yield cpio_entry("inside", 0o100755, inside.encode())
    yield cpio_entry("bin/busybox", 0o100755, BUSYBOX.read_bytes())
    yield cpio_entry("modules/order", 0o100644, "\n".join(module.name for module in modules).encode())
    for module in modules:
        yield cpio_entry(f"modules/{module.name}", 0o100644, module.read_bytes())
    yield cpio_entry("TRAILER!!!", 0, b"")


def cpio_entry(name: str, mode: int, content: bytes) -> bytes:
    fields = (0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
    return padded(head) + padded(content)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def inside(kernel: Path, command: list[str]) -> str:
    return INSIDE.format(
        version=version_of(kernel), modules=modules_of(kernel).resolve(), busybox=BUSYBOX, root=ROOT,
        path=os.environ["PATH"], python=sys.executable, command=shlex.join(command),
    )  # fmt: skip


# ---------------------------------------------------------------- the machine


@contextmanager
def shared_tree(work: Path) -> Iterator[Path]:
    """Serve this machine's root, read-only, on a socket."""
    view, socket = work / "root", work / "share.sock"
    view.mkdir()
    script = 'mount --bind / "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'
    server = next(path for path in VIRTIOFSD if path.exists())
    command = [
        str(server),
        f"--socket-path={socket}",
        "-o",
        f"source={view},cache=always",
        "--rlimit-nofile=0",
    ]
    process = subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", str(view), *command],
        stderr=(work / "share.log").open("wb"),
    )
    try:
        while not socket.exists():
            if process.poll() is not None:
                raise RuntimeError(f"virtiofsd: {(work / 'share.log').read_text()}")
            time.sleep(0.05)
        yield socket
    finally:
        process.terminate()
        process.wait()


def kvm_works() -> bool:
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR))
    except OSError:
        return False
    return True


def qemu_command(kernel: Path, ramdisk: Path, socket: Path, memory: int) -> list[str]:
    (image,) = kernel.glob("boot/vmlinuz-*")
    return [
        "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2",
        "-m", str(memory), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-nic", "none",
        "-object", f"memory-backend-memfd,id=ram,size={memory}M,share=on", "-numa", "node,memdev=ram",
        "-chardev", f"socket,id=share,path={socket}", "-device", "vhost-user-fs-pci,chardev=share,tag=host",
        "-serial", "stdio", "-kernel", str(image), "-initrd", str(ramdisk),
        "-append", "console=ttyS0 quiet panic=-1 random.trust_cpu=on",
    ]  # fmt: skip


def run(command: list[str], seconds: float) -> int:
    """Boot, pass on what the console says, and return what the tests returned."""
    begin, said = time.monotonic(), []
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as machine:
        guard = threading.Timer(seconds, machine.kill)
        guard.start()
        assert machine.stdout is not None
        try:
            for line in machine.stdout:
                said.append(line.decode(errors="replace").replace("\r", ""))
                print(said[-1], end="", flush=True)
        finally:
            guard.cancel()
            machine.kill()
    ended = ENDED.search("".join(said))
    print(f"try_cgroup2: {time.monotonic() - begin:.0f} s")
    return int(ended[1]) if ended else 1


if __name__ == "__main__":
    sys.exit(main())
