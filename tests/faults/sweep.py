"""The sweep: one operation after another fails, until a run passes untouched; and what is looked at after each."""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path

from tests.faults.faulty import FaultyDaemon
from tests.faults.inject import Kind
from tests.harness.daemon import Answer

ENOUGH = 2000  # operations in one run
PATIENCE = 5.0  # seconds for what is on its way out
LIMIT = 10.0  # seconds for an answer
BARE = re.compile(r"Traceback|\[Errno|^\w*(Error|Exception)\b|sqlite3|<class ")
FOLDER = re.compile(r"[0-9a-f]{64}")


@dataclass
class Finding:
    """One operation that failed, and what was wrong then."""

    nth: int
    what: str
    answer: str
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.nth}: {self.what}\n    {self.answer}\n    " + "\n    ".join(self.wrong)


def nothing() -> None:
    """No preparation."""


def sweep(
    daemon: FaultyDaemon,
    kind: Kind,
    run: Callable[[], Answer],
    check: Callable[[Answer], Iterable[str]],
    step: int = 1,
    ready: Callable[[], None] = nothing,
) -> list[Finding]:
    """Let operation 1, 1 + step, … of a kind fail in a ``run`` each; the runs after which something was wrong.

    ``ready`` makes what a run needs, while nothing fails. ``check`` tells what is wrong beyond what is looked at after
    every run: a readable answer, in time.
    """
    findings = []
    for nth in range(1, ENOUGH, step):
        ready()
        daemon.injector.arm(kind, nth)
        began = time.monotonic()
        try:
            answer, wrong = run(), []
        except (OSError, HTTPException) as error:
            if time.monotonic() - began < LIMIT - 1 and isinstance(error, TimeoutError):
                raise  # the whole test's time is over
            answer, wrong = Answer(0, repr(error)), [f"no answer: {error!r}"]
        took = time.monotonic() - began
        what = daemon.injector.disarm()
        if took > LIMIT / 2:
            wrong.append(f"the answer took {took:.1f} s")
        wrong += [*unreadable(answer), *check(answer)]
        if wrong:
            findings.append(Finding(nth, what or "nothing failed", f"{answer.status} {words(answer)}", wrong))
        if not what:
            assert nth > 1, f"no {kind} operation was seen"
            return findings
    raise AssertionError(f"no run passed untouched by {kind}")


def words(answer: Answer) -> str:
    return str(
        answer.body["message"] if isinstance(answer.body, dict) and "message" in answer.body else answer.body
    )


def unreadable(answer: Answer) -> list[str]:
    """What is wrong with an answer as a sentence for a user."""
    if answer.status < 400:
        return []
    text = words(answer)
    wrong = [f"bare: {text}"] if BARE.search(text) else []
    if " " not in text or len(text) < 20:
        wrong.append(f"says nothing: {text!r}")
    return wrong


# ------------------------------------------------------------ what the host holds

Holdings = Mapping[str, int]


def holdings(daemon: FaultyDaemon) -> Counter[str]:
    """What there is for containers: processes, cgroups, links, mounts, journals, descriptors. No process is started."""
    found: Counter[str] = Counter()
    sandbox = daemon.sandbox
    inside = sandbox.outside("/").parent
    found["links"] = sum(":" in line for line in (inside / "net/dev").read_text().splitlines())
    found["descriptors"] = len(os.listdir(f"/proc/{daemon.pid}/fd"))
    found["mounts"] = len(sandbox.mounts())
    for pid, line in sandbox.processes().items():
        if pid != daemon.pid:
            found[f"process {line}"] += 1
    for folder in sandbox.cgroups():
        if FOLDER.fullmatch(folder.name):
            found[f"cgroups beside {folder.parent}"] += 1
    for journal in sandbox.outside(daemon.exec_root / "containers").glob("*/launch.json"):
        found[f"journals in {journal.parent.parent}"] += 1
    return found


def grown(daemon: FaultyDaemon, before: Holdings, seconds: float = PATIENCE) -> list[str]:
    """What is there more of than before, once whatever is on its way out has had its time."""
    deadline = time.monotonic() + seconds
    while True:
        now = holdings(daemon)
        more = [f"left: {n} ({now[n] - before.get(n, 0)} more)" for n in now if now[n] > before.get(n, 0)]
        if not more or time.monotonic() > deadline:
            return more
        time.sleep(0.005)


def elements(daemon: FaultyDaemon) -> str:
    """Published ports, by the kernel's word; "" where there are none."""
    listed = daemon.run_in_ns(["nft", "list", "maps"]).stdout
    return " ".join(line.strip() for line in listed.splitlines() if "elements" in line)


def journals(daemon: FaultyDaemon) -> list[Path]:
    return list(daemon.sandbox.outside(daemon.exec_root / "containers").glob("*/launch.json"))


def report(findings: Iterable[Finding]) -> str:
    return "\n".join(map(str, findings))
