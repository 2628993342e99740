"""What comes into a container, seen by one that may trace: nothing of the host from its first moment, no more rights.

dockerd's ``exec`` shows nothing either, but what it brings in can be made to do what root may; what joins by ``--pid
container:`` is in the host's tree for a while there.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping

import pytest

from tests.harness.daemon import Daemon
from tests.security.image import results

ENTRIES, PATIENCE = 200, 40  # so many come in, or as many as do within so many seconds
FEWEST = 20
NOTHING = dict.fromkeys(("root", "cwd", "fd", "mounts", "memory", "rights", "unfiltered"), "0")
TRACER = ("--cap-add", "SYS_PTRACE")
MOUNTER = (*TRACER, "--cap-add", "SYS_ADMIN")  # may go into the mounts of others, too

Enter = Callable[[Daemon, str], bool]


def filesystems(daemon: Daemon) -> set[str]:
    """The numbers of what is mounted where the daemon lives."""
    seen = [daemon.sandbox.outside(path) for path in daemon.sandbox.mounts()]
    return {
        str(os.stat(path).st_dev) for path in seen if not path.match("*/proc") and not path.match("*/pts")
    }


def exec_with(**options: object) -> Enter:
    def enter(daemon: Daemon, container: str) -> bool:
        made = daemon.api("POST", f"/containers/{container}/exec", {"Cmd": ["true"], **options}).body
        return daemon.api("POST", f"/exec/{made['Id']}/start", {"Detach": True}).status == 200

    return enter


def join(daemon: Daemon, container: str) -> bool:
    host = {"PidMode": f"container:{container}", "AutoRemove": True}
    body = {"Image": "busybox", "Cmd": ["true"], "HostConfig": host}
    made = daemon.api("POST", "/containers/create", body).body
    started = daemon.api("POST", f"/containers/{made['Id']}/start").status == 204
    daemon.api("DELETE", f"/containers/{made['Id']}?force=1")
    return started


def attacked(
    daemon: Daemon, enter: Enter, *words: str, rights: tuple[str, ...] = TRACER
) -> tuple[dict[str, str], int]:
    """The findings of an attacker that may trace, while others come in; how many came."""
    container = daemon.docker("run", "-d", *rights, "attacker", "/attacker", *words).stdout.strip()
    deadline, entered = time.monotonic() + PATIENCE, 0
    while entered < ENTRIES and time.monotonic() < deadline:
        entered += enter(daemon, container)
    daemon.api("POST", f"/containers/{container}/stop?t=20")
    return results(daemon.docker("logs", container).stdout), entered


EXECS: Mapping[str, Enter] = {
    "exec": exec_with(),
    "exec -t": exec_with(Tty=True, AttachStdin=True),
    "exec -u": exec_with(User="1000"),
    "exec -w": exec_with(WorkingDir="/tmp"),
}


LOOKS = [
    *(pytest.param(kind, TRACER, id=kind) for kind in (*EXECS, "--pid container:")),
    *(
        pytest.param(kind, MOUNTER, id=f"{kind}, to one that may mount")
        for kind in ("exec", "--pid container:")
    ),
]


@pytest.mark.parametrize(("kind", "rights"), LOOKS)
def test_nothing_of_the_host_is_seen(besieged: Daemon, kind: str, rights: tuple[str, ...]) -> None:
    words = ("watch", str(besieged.base), *sorted(filesystems(besieged)))
    found, entered = attacked(besieged, EXECS.get(kind, join), *words, rights=rights)
    assert int(found.pop("seen")) > 0, "the attacker met nobody on the way in: the test shows nothing"
    assert (int(found.pop("visited")) > 0) == (rights == MOUNTER)
    if kind not in EXECS:
        del found["rights"]  # who fetches the procfs may mount, and is held by a filter: see the next test
    assert found.items() <= NOTHING.items() and entered >= FEWEST


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the attacker writes this machine's registers")
@pytest.mark.parametrize("kind", ["exec", "--pid container:"])
def test_what_comes_in_does_not_do_what_the_container_may_not(besieged: Daemon, kind: str) -> None:
    found, _ = attacked(besieged, EXECS.get(kind, join), "seize")
    assert int(found["seized"]) > 0, "the attacker caught nobody: the test shows nothing"
    assert found["obeyed"] == "0"
