"""``make demo``: an image becomes a running container, by wherry's command line and then by docker's own; between them,
what a run would do, and what the kernel holds for a container.

A daemon is started in namespaces of its own, so the machine's network, mounts and containers stay as they are; when
the demo ends, nothing of it is left. Each step shows the command, what it printed, and how long it took.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from tests.harness import images
from tests.harness.daemon import Daemon, Finished, docker_command

PORT = "8080"
URL = f"http://127.0.0.1:{PORT}/"
PAGE = "echo Hello from $(hostname) >/tmp/index.html"
WEB = f"{PAGE}; echo serving; exec busybox httpd -f -v -p 80 -h /tmp"
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

T = TypeVar("T")
Run = Callable[..., Finished]


class Show:
    """Prints steps: what was done, what it said, how long it took."""

    def __init__(self) -> None:
        self._begin = time.monotonic()
        self._color = sys.stdout.isatty()

    def title(self, text: str) -> None:
        print(f"\n\033[1m{text}\033[0m" if self._color else f"\n== {text}", flush=True)

    def step(self, what: str, work: Callable[[], T], lines: int = 6, say: Callable[[T], str] = str) -> T:
        """Do the work; print its name, its time and the beginning of what it said."""
        begin = time.perf_counter()
        done = work()
        took = (time.perf_counter() - begin) * 1000
        print(f"  {took:8.1f} ms   {what}", flush=True)
        for line in say(done).strip().splitlines()[:lines]:
            print(f"                | {line}")
        return done

    def end(self) -> None:
        print(f"\nDone in {time.monotonic() - self._begin:.1f} s; nothing is left behind.")


def make_archive(folder: Path) -> tuple[str, Path]:
    """A real image as ``docker load`` takes it: Debian where a mirror can be reached, else static busybox."""
    tree = images.debian_tar(["busybox-static"])
    archive = folder / "image.tar"
    if tree is None:
        archive.write_bytes(images.busybox_archive("busybox:demo"))
        return "busybox:demo", archive
    layer, config = tree.read_bytes(), {"Cmd": ["bash"], "Env": [PATH]}
    archive.write_bytes(images.docker_archive([layer], ["debian:demo"], config))
    return "debian:demo", archive


def output(done: Finished) -> str:
    return done.stdout + done.stderr


def tour(show: Show, daemon: Daemon, name: str, run: Run, image: str) -> None:
    """The steps that a user takes, with one command line or the other."""

    def client(*arguments: str, lines: int = 6) -> None:
        show.step(f"{name} {spoken(arguments)}", lambda: run(*arguments), lines, output)

    client("run", "--rm", image, "cat", "/etc/os-release", lines=3)
    client(
        "run", "-d", "--name", "count", image, "sh", "-c", "for n in 1 2 3; do echo line $n; done; sleep 1000"
    )
    until("the log has its three lines", lambda: "line 3" in run("logs", "count").stdout)
    client("logs", "count")
    client("exec", "count", "sh", "-c", "echo in the container: $(hostname), uid $(id -u), pid $$")
    client("run", "-d", "--name", "web", "-p", f"127.0.0.1:{PORT}:80", image, "sh", "-c", WEB)
    until("the server answers", lambda: daemon.run_in_ns(["curl", "-sf", URL], check=False).returncode == 0)
    page = show.step(f"curl {URL}", lambda: daemon.run_in_ns(["curl", "-sS", URL]), say=output).stdout
    if not page.startswith("Hello from"):
        raise SystemExit(f"the published port answered: {page!r}")
    client("ps", "--format", "table {{.Names}}\t{{.Image}}\t{{.Status}}\t{{.Ports}}")
    client("stop", "-t", "1", "count", "web")
    client("rm", "count", "web")


def explained(show: Show, daemon: Daemon, image: str) -> None:
    """The plan before, and the kernel's state after."""
    page = daemon.base / "web.html"
    web = ("-p", f"127.0.0.1:{PORT}:80", "-m", "64m", image, "sh", "-c", WEB)

    def client(*arguments: str, lines: int, say: Callable[[Finished], str] = output) -> None:
        show.step(f"wherry {spoken(arguments)}", lambda: daemon.wherry(*arguments), lines, say)

    client("run", "--dry-run", *web, lines=24, say=lambda done: parts(done, "network", "limits"))
    client("run", "-d", "--name", "web", *web, lines=1)
    client("explain", "web", lines=30, say=lambda done: parts(done, "limits", "network", "what it costs"))
    client("explain", "--check", "web", lines=1, say=lambda done: output(done) or "no drift")
    client("explain", "--html", str(page), "web", lines=1, say=lambda _: f"{page.stat().st_size:,} bytes")
    client("rm", "-f", "web", lines=1)


def parts(done: Finished, *headings: str) -> str:
    """The beginning of a plan or an explanation, and what stands under some of its headings."""
    paragraphs = output(done).split("\n\n")
    chosen = [part for part in paragraphs if part.partition("\n")[0].lower() in headings]
    return "\n".join([paragraphs[0], *chosen])


def spoken(arguments: Sequence[str]) -> str:
    return " ".join(a if a and " " not in a else f"'{a}'" for a in arguments)


def until(what: str, true: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {seconds:.0f} s, in vain, until {what}")
        time.sleep(0.01)


def both_tours(show: Show, daemon: Daemon) -> None:
    show.title("An image")
    made = "debootstrap (or busybox, where no mirror can be reached)"
    image, archive = show.step(made, lambda: make_archive(daemon.base), say=lambda m: m[0])
    show.title("A daemon, in namespaces of its own")
    show.step("wherryd", daemon.start, say=lambda _: "")
    show.title("wherry's command line")
    show.step(f"wherry load -i {archive.name}", lambda: daemon.wherry("load", "-i", archive), say=output)
    tour(show, daemon, "wherry", daemon.wherry, image)
    show.title("What would be done, and what the kernel holds")
    explained(show, daemon, image)
    if docker_command() is None:
        print("\nNo docker command line here, so its half of the demo is left out.")
        return
    version = subprocess.run(daemon.docker_argv("--version"), capture_output=True, text=True).stdout.strip()
    show.title(f"The same daemon, by docker's own command line ({version})")
    tour(show, daemon, "docker", daemon.docker, image)


def main() -> int:
    show, daemon = Show(), Daemon()
    try:
        both_tours(show, daemon)
        show.title("The end")
        show.step("the daemon ends", daemon.stop, say=lambda _: "")
        left = daemon.leaks()
        if left:
            raise SystemExit("left behind:\n  " + "\n  ".join(left))
    except AssertionError as error:
        raise SystemExit(f"a step failed: {error}") from None
    finally:
        daemon.close()
    show.end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
