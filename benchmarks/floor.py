"""The floor: what the kernel alone needs for the container that Wherry starts. ``floor.c`` says what that means.

The operations are those of the plan that a dry run shows, so that it is the same container; each step becomes one
line of C. What is Wherry's own and not the container's (monitor, log) is left out.

``python -m benchmarks.floor FOLDER``, inside the namespaces, makes the bridge and the firewall's table and becomes
the compiled program.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

from benchmarks.cases import IDLE, IMAGE, Round
from benchmarks.engines import ROOT, Engine
from benchmarks.report import FLOOR
from wherry.linux import netlink, nftables
from wherry.linux.netlink import Flag, Message
from wherry.network import firewall, link
from wherry.network.ports import PublishedPort

BRIDGE, BRIDGE_INDEX, NETNS_FD = "floor0", 2, 200  # the first link after lo
ADDRESS = IPv4Interface("172.29.0.1/16")
INSIDE = IPv4Interface("172.29.0.2/16")
PUBLISHED = PublishedPort("tcp", "127.0.0.1", 32768, 80, str(INSIDE.ip))
SOURCE = Path(__file__).with_name("floor.c")
ID, OWN = "<id>", "floor00"
Arguments = dict[str, Any]


class Program:
    """operations.h, as it is written: functions of steps, and the names that carry the container's number."""

    def __init__(self, data: str, folder: Path) -> None:
        self._data, self._folder = data, str(folder)
        self._functions: dict[str, list[str]] = {
            "enter_cgroups": []
        }  # there are none to enter with version 2
        self._numbered: dict[str, str] = {}
        self._constants: list[str] = []
        self._digits: list[str] = []

    def text(self, value: str) -> str:
        """A C expression for a text. Wherry's directories become the floor's, except for the layers."""
        value = value.replace(f"{self._data}/containers", self._folder).replace(f"{self._data}/run", "")
        if ID not in value:
            return json.dumps(value)
        return self._numbered.setdefault(value, f"name{len(self._numbered)}")

    def add(self, function: str, line: str) -> None:
        self._functions.setdefault(function, []).append(line)

    def constant(self, name: str, content: bytes) -> None:
        """Bytes; where they have the container's name in them, its number can be changed too."""
        numbers = ",".join(map(str, content))
        self._constants.append(f"static unsigned char {name}[] = {{{numbers}}};")
        self._note_digits(f"(char *){name}", content, OWN.encode())

    def _note_digits(self, name: str, content: bytes, own: bytes) -> None:
        at = -1
        while (at := content.find(own, at + 1)) >= 0:
            self._digits.append(f"{name} + {at + len(own) - 2}")

    def declare(self, line: str) -> None:
        self._constants.append(line)

    def source(self) -> str:
        names = []
        for text, name in self._numbered.items():
            own = text.replace(ID, OWN)
            names.append(f"static char {name}[] = {json.dumps(own)};")
            self._note_digits(name, own.encode(), OWN.encode())
        places = f"static char *const digits[] = {{{', '.join(self._digits)}}};"
        functions = (
            f"static void {name}(void)\n{{\n" + "".join(f"    {line};\n" for line in lines) + "}\n"
            for name, lines in self._functions.items()
        )
        return "\n".join([*names, *self._constants, places, *functions])


# ---------------------------------------------------------------- from the plan to C


def translate(steps: list[dict[str, Any]], program: Program) -> None:
    """All steps of a plan with a network and a published port."""
    files = {s["Arguments"]["path"] for s in steps if s["Name"] == "write-file"}
    for step in steps:
        name, arguments = step["Name"], step["Arguments"]
        if name in LEFT_OUT:
            continue
        if name == "bind":
            arguments["file"] = int(arguments["source"] in files)
        if name not in STEPS:
            raise RuntimeError(f"the floor has no step {name}")
        STEPS[name](program, arguments)


LEFT_OUT = {  # Wherry's own, or done for the three kinds of network by floor.c
    *("record", "endpoint", "publish-port", "parent-cgroup", "runtime-directory", "mkdir"),
    *("monitor", "stdio", "log", "oom-counter", "join-namespace", "loopback-up"),
}


def writable_layer(p: Program, a: Arguments) -> None:
    upper, work = Path(a["upper"]), Path(a["work"])
    for path in (upper.parent, upper, work, upper.parent / "root"):
        p.add("prepare", f"MUST(mkdir({p.text(str(path))}, 0755))")
    home, bin = p.text(str(upper.parent)), p.text(str(upper.parent.parent / "bin" / ID))
    p.add("throw_away", f"MUST(rename({home}, {bin}))")


def overlay(p: Program, a: Arguments) -> None:
    lower = ":".join(f"{a['layers_dir']}/{layer}" for layer in a["lower"])
    options = f"lowerdir={lower},upperdir={a['upper']},workdir={a['work']}"
    target = str(Path(a["upper"]).parent / "root")
    p.add("make_root", f"OVERLAY({p.text(target)}, {p.text(options)})")


def cgroup(p: Program, a: Arguments) -> None:
    p.add("prepare", f"CGROUP({p.text(a['path'])})")
    p.add("remove_cgroups", f"MUST(rmdir({p.text(a['path'])}))")


def devices(p: Program, a: Arguments) -> None:
    p.constant("devices", base64.b64decode(a["program"]))
    p.add("prepare", f"filter_devices({p.text(a['path'])}, devices, sizeof devices)")


def clone(p: Program, a: Arguments) -> None:
    p.declare(f"static const uint64_t namespaces = {a['namespaces']}u;")
    p.declare(f"#define BIRTHPLACE {p.text(a['cgroup']) if a['cgroup'] else 'NULL'}")


def seccomp(p: Program, a: Arguments) -> None:
    p.constant("instructions", base64.b64decode(a["program"]))
    p.add("give_up_rights", f"filter(instructions, sizeof instructions, {a['flags']})")


def capabilities(p: Program, a: Arguments) -> None:
    sets = ", ".join(str(a[name]) + "u" for name in ("bounding", "effective", "permitted", "inheritable"))
    p.add("give_up_rights", f"set_capabilities({sets})")


def execute(p: Program, a: Arguments) -> None:
    def vector(name: str, words: Iterable[str]) -> None:
        p.declare(f"static char *const {name}[] = {{{', '.join([*map(p.text, words), 'NULL'])}}};")

    p.declare('static const char program[] = "/bin/busybox";')
    vector("quick", a["argv"])
    vector("idle", IDLE)
    vector("environment", a["env"])


def inside(path: str) -> str:
    """A path of the container, from its root as the working directory."""
    return json.dumps(path.lstrip("/"))


def line(function: str, form: Callable[[Program, Arguments], str]) -> Callable[[Program, Arguments], None]:
    return lambda p, a: p.add(function, form(p, a))


STEPS: dict[str, Callable[[Program, Arguments], None]] = {
    "writable-layer": writable_layer,
    "write-file": line("prepare", lambda p, a: f"FILE_OF({p.text(a['path'])}, {p.text(a['content'])})"),
    "cgroup-create": cgroup,
    "cgroup-write": line("prepare", lambda p, a: f"WRITE({p.text(a['path'])}, {p.text(a['value'])})"),
    "cgroup-devices": devices,
    "clone": clone,
    "cgroup-attach": line("enter_cgroups", lambda p, a: f'WRITE({p.text(a["path"] + "/tasks")}, "0")'),
    "sethostname": line("make_root", lambda p, a: f"MUST(sethostname({p.text(a['hostname'])}, {len(OWN)}))"),
    "sysctl": line(
        "make_root", lambda p, a: f"WRITE({json.dumps('/proc/sys/' + a['key'])}, {json.dumps(a['value'])})"
    ),
    "propagation": line("make_root", lambda p, a: f'MUST(mount(NULL, "/", NULL, {a["flags"]}, NULL))'),
    "overlay-root": overlay,
    "mount": line(
        "make_root",
        lambda p, a: (
            f"MOUNT({', '.join(map(json.dumps, (a['fstype'], a['source'])))}, {inside(a['target'])}, "
            f"{a['flags']}, {json.dumps(a['data'])})"
        ),
    ),
    "bind": line(
        "make_root",
        lambda p, a: f"bind_on({p.text(a['source'])}, {inside(a['target'])}, {a['flags']}, {a['file']})",
    ),
    "read-only": line("make_root", lambda p, a: f"make_read_only({inside(a['path'])})"),
    "mask": line("make_root", lambda p, a: f"mask({inside(a['path'])})"),
    "mknod": line(
        "make_root",
        lambda p, a: f"NODE({inside(a['path'])}, S_IFCHR | {a['mode']}, {a['major']}, {a['minor']})",
    ),
    "symlink": line(
        "make_root", lambda p, a: f"MUST(symlink({json.dumps(a['target'])}, {inside(a['path'])}))"
    ),
    "pivot-root": line("make_root", lambda p, a: "PIVOT()"),
    "rlimit": line("give_up_rights", lambda p, a: f"LIMIT({a['resource']}, {a['soft']}, {a['hard']})"),
    "seccomp": seccomp,
    "chdir": line("give_up_rights", lambda p, a: f"MUST(chdir({json.dumps(a['path'])}))"),
    "user": line("give_up_rights", lambda p, a: "be_root()"),
    "capabilities": capabilities,
    "exec": execute,
}


# ---------------------------------------------------------------- messages for the network


def encoded(messages: Iterable[Message]) -> bytes:
    """As ``wherry.linux.netlink`` sends them: one batch, whose last message is acknowledged."""
    batch = list(messages)
    return b"".join(
        netlink.encode(m, number, Flag.ACK if m is batch[-1] else Flag(0)) for number, m in enumerate(batch)
    )


def table_change(kind: nftables.Kind) -> bytes:
    name, element = firewall.encode(PUBLISHED)
    change = nftables.elements_message(kind, "floor", name, [element])
    begin, body, end = nftables.batch([change])
    return encoded([begin, body, end])


def network_messages(p: Program) -> None:
    pair = link.Veth(OWN, BRIDGE_INDEX, "eth0", NETNS_FD, bytes.fromhex("02ac1d000002"))
    port = netlink.text(link.LinkAttr.NAME, OWN)
    p.declare(f"#define VETH {p.text(ID)}")
    raise_port = Message(link.Kind.NEW_LINK, link.ifinfo(up=True) + port)
    p.constant("make_veth", encoded([link.create_veth(pair)]))
    p.constant("set_port_up", encoded([raise_port]))
    p.constant("remove_veth", encoded([Message(link.Kind.DELETE_LINK, link.ifinfo() + port)]))
    p.constant("set_inside", encoded(link.inside(INSIDE, ADDRESS.ip)))
    p.constant("publish", table_change(nftables.Kind.NEW_ELEMENT))
    p.constant("withdraw", table_change(nftables.Kind.DELETE_ELEMENT))


# ---------------------------------------------------------------- the program beside the engines

LETTERS = {
    "lives": {"none": "n", "bridge": "b", "port": "p", "wired": "w"},
    "exec": {"exec": "e"},
    "fleet": {"fleet": "f"},
}


def compile_program(folder: Path) -> None:
    """floor.c with the operations.h in a folder, to the program "floor" there; with musl where there is musl."""
    headers = ["-idirafter", "/usr/include", "-idirafter", f"/usr/include/{os.uname().machine}-linux-gnu"]
    compiler = ["musl-gcc", *headers] if shutil.which("musl-gcc") else ["gcc"]
    flags = ["-O2", "-Wall", "-Wextra", "-static", f"-I{folder}"]
    subprocess.run([*compiler, *flags, str(SOURCE), "-o", str(folder / "floor")], check=True)


class Floor:
    """The compiled program, in namespaces of its own, as an engine is."""

    name = FLOOR

    def __init__(self, wherry: Engine) -> None:
        self._wherry = wherry
        self._folder = Path()

    def start(self, base: Path) -> None:
        """Write and compile it. The layers and the parent cgroups are those of the wherryd that is measured too."""
        self._folder = base / "floor"
        (self._folder / "bin").mkdir(parents=True)
        program = Program(str(self._wherry.folder / "data"), self._folder)
        translate(self._plan(), program)
        network_messages(program)
        (self._folder / "operations.h").write_text(program.source())
        compile_program(self._folder)

    def _plan(self) -> list[dict[str, Any]]:
        body = {
            "Image": IMAGE,
            "Cmd": ["true"],
            "ExposedPorts": {"80/tcp": {}},
            "HostConfig": {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}},
        }
        answer = self._wherry.connect().call("POST", "/containers/create?dryRun=1", body)
        return list(answer["Steps"])

    def rounds(self, case: str) -> Iterator[Round]:
        letters = LETTERS.get(case, {})
        if not letters:
            return
        process = self._run()
        assert process.stdin is not None and process.stdout is not None
        try:
            while True:
                values = {}
                for row, letter in letters.items():
                    process.stdin.write(letter + "\n")
                    process.stdin.flush()
                    values[row] = float(process.stdout.readline())
                    self._empty_bin()
                yield values
        finally:
            process.stdin.close()
            process.wait()

    def _run(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["unshare", "--net", "--mount", "--propagation", "private", sys.executable, "-m", "benchmarks.enter",
             "/", str(self._folder), f"{sys.executable} -m benchmarks.floor {self._folder}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"},
        )  # fmt: skip

    def _empty_bin(self) -> None:
        for thrown in (self._folder / "bin").iterdir():
            shutil.rmtree(thrown)


def main() -> None:
    """Inside: a bridge, and the table that Wherry would load for it."""
    for command in (
        f"link add {BRIDGE} type bridge",
        f"address add {ADDRESS} dev {BRIDGE}",
        f"link set {BRIDGE} up",
    ):
        subprocess.run(["ip", *command.split()], check=True)
    facts = firewall.NetworkFacts(socket.if_nametoindex(BRIDGE), (ADDRESS.network,))
    nftables.load(firewall.render("floor", [facts], []))
    os.execv(f"{sys.argv[1]}/floor", ["floor"])


if __name__ == "__main__":
    main()
