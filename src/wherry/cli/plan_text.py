"""A plan, and the difference of two, as text: steps that are alike stand together, none is left out."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from wherry.cli.explain_words import REACHES, reach_rows
from wherry.cli.paper import Column, Paper
from wherry.values.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    Json = dict[str, Any]

HEADINGS = ("layers", "namespaces", "filesystems", "devices", "network", "limits", "rights", "process")
WHO = {"engine": "the engine", "monitor": "the monitor", "container": "the container's own process"}
WORDS = {"image": "image: ", "daemon": "daemon: "}  # before a cause's text, where it does not say so itself
ALIKE = 0.3  # how much of two texts must be the same for them to be shown as one
KEPT = 0.7  # how much of that must stay when a third joins

NAMED = 12  # of the steps in one line of a difference; all devices of a host are a wall of them

STEP_COLUMNS = (Column(right=True, fixed=True, style="dim"), Column(), Column("cause"))
DIFFERENCE_COLUMNS = (Column("bold", fixed=True), Column(), Column("cause"))
SIGN_STYLES = {"-": "red", "+": "green", "~": "yellow"}


class Entry(NamedTuple):
    """One line to be: ``key`` is what must be the same for entries to stand together."""

    key: tuple[object, ...]
    number: int
    text: str
    cause: str


def cause_of(step: Json) -> str:
    """Who asked, in plain words."""
    return str(WORDS.get(step["Origin"], "") + step["Cause"])


# ---------------------------------------------------------------- what is alike stands together


def common_beginning(texts: Sequence[str]) -> str:
    """The characters that all texts begin with."""
    first, last = min(texts), max(texts)
    at = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return first[:at]


def parts_alike(texts: Sequence[str]) -> tuple[str, str]:
    """The beginning and the end that all texts share, cut at whole words."""
    head = common_beginning(texts)
    head = head[: max(head.rfind("/"), head.rfind(" ")) + 1]
    tails = [text[len(head) :][::-1] for text in texts]
    tail = common_beginning(tails)[::-1]
    cuts = [at for at in (tail.find("/"), tail.find(" ")) if at >= 0]
    tail = tail[min(cuts) :] if cuts else ""
    return head, tail if tail.count("(") == tail.count(")") else ""


def folded(texts: Sequence[str], most: int = 0) -> str:
    """``mask /proc/{keys, kcore}`` for two texts. ``most``: so many are named of a longer list, and the others counted;
    0 for all."""
    if len(texts) == 1:
        return texts[0]
    head, tail = parts_alike(texts)
    middles = [text[len(head) : len(text) - len(tail)] for text in texts]
    if most and len(middles) > most:
        middles = [*middles[:most], f"and {len(middles) - most} more"]
    return f"{head}{{{', '.join(middles)}}}{tail}"


def runs(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Neighbours with the same key and much the same text, together."""
    for _, group in groupby(entries, key=lambda entry: (entry.key, entry.cause)):
        run: list[Entry] = []
        for entry in group:
            if run and not _joins(run, entry):
                yield run
                run = []
            run.append(entry)
        yield run


def _joins(run: Sequence[Entry], entry: Entry) -> bool:
    if entry.number != run[-1].number + 1:
        return False
    before = sum(map(len, parts_alike([e.text for e in run]))) if len(run) > 1 else 0
    after = sum(map(len, parts_alike([*(e.text for e in run), entry.text])))
    return after >= max(ALIKE * min(len(run[0].text), len(entry.text)), KEPT * before)


# ---------------------------------------------------------------- one plan


def plan_rows(steps: Sequence[Json]) -> list[tuple[str, str, str]]:
    """Rows of one heading: the numbers, what is done, and why."""
    entries = [Entry((s["Name"], s["Phase"]), s["Number"], s["Text"], cause_of(s)) for s in steps]
    return [(numbers(run), folded([e.text for e in run]), run[0].cause) for run in runs(entries)]


def numbers(run: Sequence[Entry]) -> str:
    first, last = run[0].number, run[-1].number
    return str(first) if first == last else f"{first}–{last}"


def show_plan(plan: Json, title: str, paper: Paper | None = None) -> None:
    """Print a plan under its headings; the numbers are the order of execution."""
    paper, steps = paper or Paper(), plan["Steps"]
    paper.line(title, "bold")
    paper.line(f"{counted(len(steps), 'step')}, numbered in the order of execution: {phases(steps)}.", "dim")
    if reaching := reach_rows(plan):
        paper.heading(REACHES, "yellow")
        paper.table(reaching, (Column(), Column("cause")))
    sections = [(name, plan_rows([s for s in steps if s["Heading"] == name])) for name in HEADINGS]
    everything = [row for _, rows in sections for row in rows]
    for name, rows in sections:
        if rows:
            paper.heading(name)
            paper.table(rows, STEP_COLUMNS, everything)


def phases(steps: Sequence[Json]) -> str:
    """``the engine does 1–5, the monitor 6–37, …``"""
    said: list[str] = []
    for phase, group in groupby(steps, key=lambda step: step["Phase"]):
        span = [step["Number"] for step in group]
        verb = " does" if not said else ""
        said.append(f"{WHO.get(phase, phase)}{verb} {span[0]}–{span[-1]}")
    return ", ".join(said)


# ---------------------------------------------------------------- two plans


def difference_entry(at: int, found: Json) -> Entry:
    a, b = found["A"], found["B"]
    if a is None or b is None:
        step = b if a is None else a
        return Entry(("-" if b is None else "+", found["Name"]), at, step["Text"], cause_of(step))
    causes = (cause_of(a), cause_of(b))
    cause = causes[0] if causes[0] == causes[1] else " → ".join(causes)
    return Entry(("~", found["Name"], at), at, changed(found["What"], a, b), cause)


def changed(what: str, a: Json, b: Json) -> str:
    """What is not the same in two steps: what the engine says, or the texts with what they share said once."""
    if what != f"{a['Text']} → {b['Text']}":
        return what
    if a["Text"] == b["Text"]:
        return f"{a['Text']}: {'; '.join(changed_arguments(a['Arguments'], b['Arguments']))}"
    head, tail = parts_alike([a["Text"], b["Text"]])
    middles = [text[len(head) : len(text) - len(tail)] or "nothing" for text in (a["Text"], b["Text"])]
    return f"{head}{{{' → '.join(middles)}}}{tail}"


def changed_arguments(a: Json, b: Json) -> Iterator[str]:
    """``env: + A=1``; texts too long to be read, such as programs, are only named."""
    for key in a:
        first, second = a[key], b.get(key)
        if first == second:
            continue
        if isinstance(first, list) and isinstance(second, list):
            lost, new = [x for x in first if x not in second], [x for x in second if x not in first]
            yield f"{key}: " + ", ".join(
                [*(f"- {x}" for x in lost), *(f"+ {x}" for x in new)] or ["in another order"]
            )
        elif max(len(str(first)), len(str(second))) > 200:
            yield f"another {key}"
        else:
            yield f"{key}: {first} → {second}"


def difference_rows(found: Sequence[Json]) -> list[tuple[str, str, str]]:
    """Rows of one heading: ``-`` only in A, ``+`` only in B, ``~`` in both, but not the same."""
    entries = [difference_entry(at, one) for at, one in enumerate(found)]
    return [(str(run[0].key[0]), folded([e.text for e in run], NAMED), run[0].cause) for run in runs(entries)]


def show_difference(found: Json, a: str, b: str, paper: Paper | None = None) -> None:
    """Print what differs between two plans, with causes."""
    paper, differences = paper or Paper(), found["Differences"]
    paper.table([("- A", a), ("+ B", b)], (Column(fixed=True), Column("bold")))
    if not differences:
        paper.line("The plans are the same.")
        return
    sections = [
        (name, difference_rows([d for d in differences if d["Heading"] == name])) for name in HEADINGS
    ]
    everything = [row for _, rows in sections for row in rows]
    for name, rows in sections:
        if rows:
            paper.heading(name)
        for row in rows:
            sign = Column(SIGN_STYLES[row[0]], fixed=True)
            paper.table([row], (sign, *DIFFERENCE_COLUMNS[1:]), everything)
