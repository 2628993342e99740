"""What is written from the classes of steps: ``native/steps.h``, and the table in ``docs/launcher.md``.

Both are committed. The C is then whole without Python: any compiler builds ``native/*.c`` in an unpacked source
distribution, also the sanitizer builds of the tests; and a change to what the launcher takes is seen in its diff.
``make docs`` writes them; ``--check``, part of ``make check``, says whether they are those of the classes.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from wherry.runtime.steps import KINDS, Side, Step

ROOT = Path(__file__).resolve().parents[1]
HEADER, PAGE = ROOT / "native" / "steps.h", ROOT / "docs" / "launcher.md"
SOURCE = "written by `make docs` from the classes of steps in src/wherry/runtime"
BEGIN, END = f"<!-- steps: {SOURCE} -->\n", "<!-- end of steps -->\n"
PLACES = {Side.HOST: "host", Side.CHILD: "child"}


def launcher_steps() -> list[type[Step]]:
    return sorted((kind for kind in KINDS.values() if kind.side), key=lambda kind: kind.code)


def snake(name: str) -> str:
    """``MakeNode`` to ``make_node``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def letters(kind: type[Step]) -> str:
    return "".join(letter for _, letter in kind.takes())


# ---------------------------------------------------------------- native/steps.h


def header() -> str:
    lines = [f"/* {SOURCE.capitalize()}. */", "#ifndef WHERRY_STEPS_H", "#define WHERRY_STEPS_H", ""]
    lines += ["/* Code, constant, function, name, where it may stand, the letters of its arguments. */"]
    lines += ["#define EACH_STEP(STEP) \\", *entries(), ""]
    lines += ["/* The arguments of each, by place. */", *places(), "", "#endif", ""]
    return "\n".join(lines)


def entries() -> Iterator[str]:
    kinds = launcher_steps()
    for kind in kinds:
        function = snake(kind.__name__)
        fields = (
            f'{kind.code}, {function.upper()}, {function}, "{kind.name}", {kind.side.name}, "{letters(kind)}"'
        )
        yield f"    STEP({fields})" + (" \\" if kind is not kinds[-1] else "")


def places() -> Iterator[str]:
    for kind in launcher_steps():
        prefix = snake(kind.__name__).upper()
        names = ", ".join(f"{prefix}_{name.upper()}" for name, _ in kind.takes())
        if names:
            yield f"enum {{ {names} }};"


# ---------------------------------------------------------------- docs/launcher.md


def table() -> str:
    lines = ["| code | step | where | arguments | what it does |", "|---|---|---|---|---|"]
    for kind in launcher_steps():
        takes = ", ".join(f"{name} `{letter}`" for name, letter in kind.takes())
        lines.append(f"| {kind.code} | `{kind.name}` | {PLACES[kind.side]} | {takes} | {sentence(kind)} |")
    return "\n".join(lines) + "\n"


def sentence(kind: type[Step]) -> str:
    """The first of the docstring."""
    text = inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0].replace("\n", " ").replace("``", "`")
    return re.split(r"(?<=\.)\s", text)[0]


def page(text: str) -> str:
    """The page with its table written anew."""
    before, rest = text.split(BEGIN, 1)
    return before + BEGIN + table() + END + rest.split(END, 1)[1]


# ----------------------------------------------------------------


def wanted() -> dict[Path, str]:
    return {HEADER: header(), PAGE: page(PAGE.read_text())}


def main() -> int:
    stale = [path for path, text in wanted().items() if not path.exists() or path.read_text() != text]
    for path in stale:
        print(path.relative_to(ROOT))
    if "--check" in sys.argv:
        return 1 if stale else 0
    for path in stale:
        path.write_text(wanted()[path])
    return 0


if __name__ == "__main__":
    sys.exit(main())
