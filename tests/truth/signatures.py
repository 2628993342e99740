"""Which system calls each kind of step makes: what a plan says, in the kernel's words.

``accepts(step, call)`` says whether a call can be that step's. The calls here change something; a step whose
doing is that it finds nothing to do (a mask over a path that is not there) is seen by its look at the path.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from tests.truth.trace import Call

Step = Mapping[str, Any]
Rule = Callable[[Mapping[str, Any], Call], bool]

# What the launcher does to itself whatever the plan is: no other process and no file can tell.
SELF = (
    r"prctl\(PR_SET_(NAME|CHILD_SUBREAPER|DUMPABLE|PDEATHSIG|MM|VMA)",
    r"prctl\(PR_GET",
    r"keyctl\(KEYCTL_JOIN_SESSION",
    r"ioctl\(.*(TIOCGWINSZ|TCGETS|FIONREAD)",
)
BEFORE_THE_PLAN = (r'open(at)?\((AT_FDCWD[^,]*, )?"/dev/null"', r'chdir\("/"\)')
LOOKS = ("open", "openat", "openat2")  # without O_CREAT they change nothing


def is_own_business(call: Call, begun: bool) -> bool:
    """What the launcher does to itself; some of it only before the first step of the plan has ``begun``."""
    patterns = SELF if begun else SELF + BEFORE_THE_PLAN
    return any(re.match(pattern, str(call)) for pattern in patterns)


def is_look(call: Call) -> bool:
    return call.name in LOOKS and "O_CREAT" not in call.args


def writes(call: Call, path: str, value: str) -> bool:
    quoted = value.replace("\t", "\\t").replace("\n", "\\n")
    return call.name in ("write", "pwrite64") and f"{path}>" in call.args and f'"{quoted[:200]}' in call.args


def lands(call: Call, target: str) -> bool:
    """A mount that is moved onto the target, or a mount point that is made on the way to it."""
    if call.name == "move_mount":
        place = call.args.split('"", ')[1].split("<", 1)[1].split(">")[0]
        return place.endswith(target) or target == "/"
    if call.name == "mkdirat" or (call.name in LOOKS and "O_CREAT" in call.args):
        made = re.search(r'"([^"]*)"', call.args)
        return made is not None and made.group(1) in target.split("/")
    return False


def new_filesystem(fstype: str, call: Call) -> bool:
    return (call.name == "fsopen" and f'"{fstype}"' in call.args) or call.name in (
        "fsconfig",
        "fsmount",
        "mount_setattr",
    )


def cgroup_write(args: Mapping[str, Any], call: Call) -> bool:
    return writes(call, args["path"], args["value"])


def overlay(args: Mapping[str, Any], call: Call) -> bool:
    if call.name == "chdir":
        return args["layers_dir"] in call.args
    return (call.name == "mount" and '"overlay"' in call.args and args["upper"] in call.args) or (
        new_filesystem("overlay", call) or (call.name == "move_mount" and f"{args['target']}>" in call.args)
    )


def mount(args: Mapping[str, Any], call: Call) -> bool:
    return new_filesystem(args["fstype"], call) or lands(call, args["target"])


def bind(args: Mapping[str, Any], call: Call) -> bool:
    if call.name == "open_tree":
        return f'"{args["source"]}"' in call.args
    return call.name == "mount_setattr" or lands(call, args["target"])


def attributes_of(path: str, call: Call) -> bool:
    """mount_setattr on a mount that is in place at the path (inside the root), or on one not yet moved there."""
    place = call.args.split("<", 1)[1].split(">")[0]
    return call.name == "mount_setattr" and (place == "/" or place.endswith(path))


def hide(args: Mapping[str, Any], call: Call) -> bool:
    """Mask and read-only path."""
    if call.name == "mount_setattr":
        return attributes_of(args["path"], call)
    if call.name in ("open_tree", "fsmount", "fsconfig"):
        return True
    return (call.name == "fsopen" and '"tmpfs"' in call.args) or lands(call, args["path"])


def read_only_root(args: Mapping[str, Any], call: Call) -> bool:
    return call.name == "mount_setattr" and "/root>" in call.args and "RDONLY" in call.args


def looked_at(path: str, call: Call) -> bool:
    return call.name == "openat2" and f'"{path}"' in call.args


def node(args: Mapping[str, Any], call: Call) -> bool:
    name = args["path"].rpartition("/")[2]
    if call.name in ("fchmod", "fchmodat", "fchown", "fchownat", "chmod", "chown"):
        return True
    return lands(call, args["path"].rpartition("/")[0]) or (
        call.name == "mknodat" and f'"{name}"' in call.args
    )


def symlink(args: Mapping[str, Any], call: Call) -> bool:
    name = args["path"].rpartition("/")[2]
    if call.name == "symlinkat":
        return f'"{args["target"]}"' in call.args and f'"{name}"' in call.args
    return lands(call, args["path"].rpartition("/")[0])


def sysctl(args: Mapping[str, Any], call: Call) -> bool:
    return new_filesystem("proc", call) or writes(call, args["key"], args["value"])


def user(args: Mapping[str, Any], call: Call) -> bool:
    named = call.name in ("setgroups", "setresuid", "setresgid", "setuid", "setgid", "fchown")
    return named or (call.name == "prctl" and "PR_SET_KEEPCAPS" in call.args)


CAPABILITY_CALL = re.compile(r"PR_(CAPBSET|CAP_AMBIENT|SET_KEEPCAPS|SET_SECUREBITS)")


def capabilities(args: Mapping[str, Any], call: Call) -> bool:
    return call.name == "capset" or (call.name == "prctl" and CAPABILITY_CALL.match(call.args) is not None)


def console(args: Mapping[str, Any], call: Call) -> bool:
    if call.name in ("ioctl", "fchown", "fchmod", "open_tree", "mount_setattr"):
        return True
    return lands(call, "/dev/console") or (call.name in LOOKS and "ptmx" in call.args)


def calls(*names: str) -> Rule:
    return lambda args, call: call.name in names


def clone(args: Mapping[str, Any], call: Call) -> bool:
    """The clone itself, with the cgroup that the child is born in where it has one."""
    if call.name == "clone3" and args["cgroup"]:
        return "CLONE_INTO_CGROUP" in call.args
    return call.name in ("clone3", "clone", "unshare")


RULES: dict[str, Rule] = {
    "mkdir": lambda args, call: call.name == "mkdir" and f'"{args["path"]}"' in call.args,
    "write-file": lambda args, call: (
        (call.name in LOOKS and f'"{args["path"]}"' in call.args)
        or writes(call, args["path"], args["content"][:40])
    ),
    "cgroup-create": lambda args, call: call.name == "mkdir" and f'"{args["path"]}"' in call.args,
    "cgroup-write": cgroup_write,
    "cgroup-devices": calls("bpf"),
    "clone": clone,
    "cgroup-attach": lambda args, call: call.name == "write" and f"<{args['path']}/" in call.args,
    "join-namespace": calls("setns"),
    "hold-tree": calls("open_tree"),
    "own-directory": lambda args, call: call.name == "open_tree" or lands(call, args["path"]),
    "propagation": lambda args, call: call.name in ("mount", "mount_setattr"),
    "overlay-root": overlay,
    "bind-root": calls("open_tree", "mount_setattr", "move_mount"),
    "mount": mount,
    "bind": bind,
    "mask": hide,
    "read-only": hide,
    "read-only-root": read_only_root,
    "mknod": node,
    "symlink": symlink,
    "root-mkdir": lambda args, call: lands(call, args["path"]),
    "pivot-root": calls("pivot_root", "umount2", "fchdir", "chdir"),
    "sethostname": lambda args, call: call.name == "sethostname" and f'"{args["hostname"]}"' in call.args,
    "setdomainname": calls("setdomainname"),
    "sysctl": sysctl,
    "loopback-up": lambda args, call: call.name == "ioctl" and "SIOC" in call.args,
    "rlimit": calls("prlimit64", "setrlimit"),
    "oom-score-adj": lambda args, call: call.name == "write" and "oom_score_adj" in call.args,
    "console": console,
    "user": user,
    "capabilities": capabilities,
    "no-new-privileges": lambda args, call: call.name == "prctl" and "NO_NEW_PRIVS" in call.args,
    "seccomp": lambda args, call: call.name == "seccomp" or (call.name == "prctl" and "SECCOMP" in call.args),
    "chdir": lambda args, call: call.name in ("chdir", "fchdir"),
    "init": calls("clone3", "clone", "vfork", "fork"),
    "enter-pids": lambda args, call: call.name == "clone" and "CLONE_PARENT" in call.args,
    "exec": calls("execve"),
}

# Steps of which nothing can be seen before the container runs: streams are pipes, the log is made with its first
# byte, exit status and counters are for the end.
LATER = ("monitor", "stdio", "log", "oom-counter")
# Steps that do nothing where the path is not there, or is there already.
CONDITIONAL = {"mask": "path", "read-only": "path", "root-mkdir": "path"}


def accepts(name: str, args: Mapping[str, Any], call: Call) -> bool:
    rule = RULES.get(name)
    return rule is not None and rule(args, call)
