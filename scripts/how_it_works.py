"""``docs/how-it-works.md``: a template, filled with what real commands print.

A daemon is started in namespaces of its own, with an image ``shop`` and a container ``web`` of it; a ``{{name}}`` in
the template becomes what is shown under that name. What changes from run to run (ids, pids, inodes, the folders of
this sandbox) is replaced by words or numbers that do not, before it is laid out.

``python -m scripts.how_it_works --page FILE`` writes the page of such a container instead, with a right that the page
warns of, for its picture: ``chromium --headless --hide-scrollbars --window-size=1120,1486 --screenshot=PNG FILE``.
"""

from __future__ import annotations

import io
import json
import re
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from tests.harness import images
from tests.harness.daemon import Daemon
from wherry.cli.explain_text import show_check, show_explanation
from wherry.cli.explain_words import used_words
from wherry.cli.page import page
from wherry.cli.paper import Paper
from wherry.cli.plan_text import show_difference, show_plan

Json = dict[str, Any]

DOCS = Path(__file__).resolve().parents[1] / "docs"
TEMPLATE, RESULT = DOCS / "how-it-works.md.in", DOCS / "how-it-works.md"
IMAGE = "shop"
RUN = ["-d", "--name", "web", "-p", "8080:80", "--memory", "64m", IMAGE]
RIGHTS = ["--cap-add", "NET_ADMIN"]  # of the one on the page
REQUESTS = 3
STARTS = 15
RAISED = str(256 << 20)  # bytes
ID, PID, FIRST_INODE, LINK = "c0ffee" + "5" * 58, 4711, 4026532201, "wh5a1b2c3d4e"
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
FIELD = re.compile(r"\{\{([a-z :-]+)\}\}")


# ---------------------------------------------------------------- the image and the container


def site_layer() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.addfile(images.entry("srv", tarfile.DIRTYPE, 0o755))
        images.add_file(tar, "srv/index.html", b"<h1>Open today until eight</h1>\n")
        images.add_file(tar, "srv/prices.csv", b"apples,2\npears,3\n" * 4000)
    return out.getvalue()


def load_images(daemon: Daemon) -> None:
    """``shop`` stands on the layer that ``busybox`` is."""
    base = images.busybox_layer()
    config = {"Cmd": ["httpd", "-f", "-p", "80", "-h", "/srv"], "Env": [PATH], "ExposedPorts": {"80/tcp": {}}}
    made_by = ["ADD busybox.tar /", "COPY site /srv"]
    daemon.load(images.docker_archive([base, site_layer()], [f"{IMAGE}:latest"], config, made_by))
    daemon.load(
        images.docker_archive([base], ["busybox:latest"], {"Cmd": ["sh"], "Env": [PATH]}, made_by[:1])
    )


def start_web(daemon: Daemon, *options: str) -> None:
    """The container of the page, asked for its first page; and a neighbour that shares its lowest layer."""
    daemon.wherry("run", "-d", "--name", "neighbour", "busybox", "sleep", "600")
    daemon.docker("run", *options, *RUN)
    deadline = time.monotonic() + 10
    while daemon.run_in_ns(["curl", "-sf", "http://127.0.0.1:8080/"], check=False).returncode != 0:
        if time.monotonic() > deadline:
            raise SystemExit(f"the container does not answer:\n{daemon.log_tail()}")
        time.sleep(0.05)
    for _ in range(REQUESTS - 1):
        daemon.run_in_ns(["curl", "-sf", "http://127.0.0.1:8080/"])


def start_milliseconds(daemon: Daemon) -> float:
    """The quickest of some starts of such a container, from the request to the answer that it runs; others that use
    the machine at the same time only add to it."""
    body = {
        "Image": IMAGE,
        "HostConfig": {"Memory": 64 << 20, "PortBindings": {"80/tcp": [{"HostPort": "8081"}]}},
    }
    took = []
    for _ in range(STARTS):
        id = daemon.api("POST", "/containers/create", body).body["Id"]
        begin = time.perf_counter()
        daemon.api("POST", f"/containers/{id}/start")
        took.append((time.perf_counter() - begin) * 1000)
        daemon.api("DELETE", f"/containers/{id}?force=1")
        time.sleep(0.1)  # the pool makes the next network namespace
    return min(took)


# ---------------------------------------------------------------- what stays the same in each run


class Mask(NamedTuple):
    """Texts and numbers that change from run to run, with what stands for them."""

    texts: Mapping[str, str]
    numbers: Mapping[int, int]

    def over(self, value: Any) -> Any:
        """The document with all of them replaced, at any depth."""
        if isinstance(value, dict):
            return {key: self.over(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.over(item) for item in value]
        if isinstance(value, str):
            for text, word in self.texts.items():
                value = value.replace(text, word)
            return value
        return self.numbers.get(value, value) if isinstance(value, int) else value


def mask_of(daemon: Daemon, found: Json) -> Mask:
    host_end = next(i["HostEnd"] for i in found["Interfaces"] if i["HostEnd"])
    texts = {
        str(daemon.data_root): "/var/lib/wherry",
        str(daemon.exec_root): "/run/wherry",
        daemon.sandbox.cgroup_parent: "wherry",
        found["Id"]: ID,
        host_end: LINK,
    }
    own = [n["Inode"] for n in found["Namespaces"] if not n["SharedWith"]]
    inodes = {inode: FIRST_INODE + at for at, inode in enumerate(own)}
    pids = {process["Pid"]: PID + at for at, process in enumerate(found["Processes"])}
    return Mask(texts, inodes | pids)


# ---------------------------------------------------------------- what is shown


def text_of(show: Callable[[Paper], None]) -> str:
    out = io.TextIOWrapper(io.BytesIO(), "utf-8")
    show(Paper(out, {}))
    out.seek(0)
    return out.read().rstrip("\n")


def sections(name: str, text: str) -> Iterator[tuple[str, str]]:
    """``name: heading`` and the lines below for each heading of an output; its beginning as ``name: head``."""
    head, *blocks = text.split("\n\n")
    yield f"{name}: head", head
    for block in blocks:
        title = block.partition("\n")[0]
        yield f"{name}: {title.partition(',')[0].lower()}", block


def json_of(daemon: Daemon, *words: str) -> Json:
    found: Json = json.loads(daemon.wherry(*words, check=False).stdout)
    return found


def drifted(daemon: Daemon, mask: Mask) -> Iterator[str]:
    """Somebody raises the limit by hand: what was typed, and what a check then says."""
    limit = next(
        x for x in json_of(daemon, "explain", "--format", "json", "web")["Limits"] if x["Name"] == "memory"
    )
    with_swap = Path(limit["File"]).with_name("memory.memsw.limit_in_bytes")
    for file in (with_swap, Path(limit["File"])):  # version 1 wants the limit with swap to be the higher one
        if file.exists():
            file.write_text(RAISED)
            yield f"# echo {RAISED} >{mask.over(str(file)).replace(ID, '<id>')}"
    yield '$ wherry explain --check web; echo "exit code $?"'
    done = daemon.wherry("explain", "--check", "--format", "json", "web", check=False)
    yield text_of(lambda paper: show_check(mask.over(json.loads(done.stdout)), paper))
    yield f"exit code {done.returncode}"


def fields(daemon: Daemon) -> dict[str, str]:
    """Everything that the template may ask for."""
    dry = json_of(daemon, "run", "--dry-run", "--format", "json", *RUN)
    start_web(daemon)
    start = start_milliseconds(daemon)
    found = json_of(daemon, "explain", "--format", "json", "web")
    against = json_of(daemon, "plan", "diff", "--format", "json", IMAGE, f"--privileged {IMAGE}")
    mask = mask_of(daemon, found)
    dry, found, against = mask.over(dry), mask.over(found), mask.over(against)
    title = f"run {IMAGE}, a dry run: none of this has been done."
    return {
        **dict(sections("plan", text_of(lambda paper: show_plan(dry, title, paper)))),
        **dict(sections("explain", text_of(lambda paper: show_explanation(found, paper)))),
        **dict(
            sections(
                "privileged", text_of(lambda p: show_difference(against, IMAGE, f"--privileged {IMAGE}", p))
            )
        ),
        "page answered": daemon.run_in_ns(["curl", "-sS", "http://127.0.0.1:8080/"]).stdout.rstrip(),
        "steps": str(len(dry["Steps"])),
        "requests": str(REQUESTS),
        "start": f"{start:.0f}",
        "cpu": next(used_words(x) for x in found["Limits"] if x["Name"] == "CPU time"),
        "memory": memory_words(found["Cost"]),
        "drift": "\n".join(drifted(daemon, mask)),
    }


def memory_words(cost: Json) -> str:
    return f"{(cost['Charged'] + cost['Shared'] + cost['Monitor']) / 1024:.0f} KiB"


def filled(template: str, values: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise SystemExit(f"{TEMPLATE.name} asks for {match[1]!r}; there are {', '.join(sorted(values))}")
        return values[match[1]]

    return FIELD.sub(value, template)


def with_daemon(work: Callable[[Daemon], None]) -> None:
    daemon = Daemon()
    try:
        daemon.start()
        load_images(daemon)
        work(daemon)
        daemon.remove_containers()
        daemon.stop()
        if left := daemon.leaks():
            raise SystemExit("left behind:\n  " + "\n  ".join(left))
    finally:
        daemon.close()


def write_document(daemon: Daemon) -> None:
    note = f"<!-- written by `make docs` from {TEMPLATE.name}; the outputs are real -->\n"
    RESULT.write_text(note + filled(TEMPLATE.read_text(), fields(daemon)))
    print(RESULT.relative_to(DOCS.parent))


def write_page(daemon: Daemon, target: Path) -> None:
    start_web(daemon, *RIGHTS)
    found = json_of(daemon, "explain", "--format", "json", "web")
    target.write_text(page(mask_of(daemon, found).over(found), datetime.now(UTC)))


def main() -> int:
    if sys.argv[1:2] == ["--page"]:
        with_daemon(lambda daemon: write_page(daemon, Path(sys.argv[2])))
    else:
        with_daemon(write_document)
    return 0


if __name__ == "__main__":
    sys.exit(main())
