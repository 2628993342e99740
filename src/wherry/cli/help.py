"""``--help``, from the declarations, in Docker's layout."""

from __future__ import annotations

import os

from wherry.cli import tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from wherry.cli.command import Command, Examples, Flag, Groups

PROGRAM = "wherry"
NARROW = 24  # the least width that help texts get


def _width() -> int:
    try:
        return os.get_terminal_size(1).columns
    except OSError:
        return 80


def flag_lines(flags: Sequence[Flag], groups: Groups = ()) -> list[str]:
    """The flags under the headings of their groups, or all under one, sorted; their texts aligned and wrapped."""
    column = max((len(_head(flag)) for flag in flags if not flag.hidden), default=0) + 3
    lines: list[str] = []
    for heading, under in groups or (("Options", by_name(flags)),):
        entries = [line for flag in under if not flag.hidden for line in _entry(flag, column)]
        lines += ["", f"{heading}:", *entries] if entries else []
    return lines


def by_name(flags: Sequence[Flag]) -> tuple[Flag, ...]:
    """In the order of their names."""
    return tuple(sorted(flags, key=lambda flag: flag.name))


def _entry(flag: Flag, column: int) -> list[str]:
    notes = [f"default {flag.shown_default}" if flag.shown_default else "", flag.limit]
    said = flag.help + "".join(f" ({note})" for note in notes if note)
    room = max(_width() - column, NARROW)
    texts = [part for line in said.split("\n") for part in _wrapped(line, room)]
    return [f"{_head(flag):<{column}}{texts[0]}", *(" " * column + text for text in texts[1:])]


def _wrapped(line: str, width: int) -> list[str]:
    """The words of the line in lines of at most so many characters, where a word is no longer than that."""
    lines = [""]
    for word in line.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".lstrip()
    return lines


def _head(flag: Flag) -> str:
    short = f"-{flag.short}, " if flag.short else "    "
    return f"  {short}--{flag.name} {flag.word}".rstrip()


def usage_line(declared: Command, called: str) -> str:
    """``Usage:`` with the command as it was called."""
    return f"Usage:  {PROGRAM} {called} {declared.usage}".rstrip()


def command_help(entry: tree.Entry, declared: Command, called: str) -> str:
    """What ``COMMAND --help`` prints: usage, summary, other names, options."""
    parts = [usage_line(declared, called), "", entry.summary]
    if len(entry.names) > 1:
        parts += ["", "Aliases:", "  " + ", ".join(f"{PROGRAM} {name}" for name in entry.names)]
    if declared.examples:
        parts += ["", "Examples:", *_examples(declared.examples)]
    return "\n".join([*parts, *flag_lines(declared.flags, declared.groups)])


def _examples(examples: Examples) -> list[str]:
    """Each with a comment before it, so that both can be copied to a shell."""
    return [line for command, said in examples for line in (f"  # {said}", f"  {command}")]


def group_help(group: str) -> str:
    """What ``wherry GROUP`` prints: the commands in it."""
    return "\n".join(
        [f"Usage:  {PROGRAM} {group} COMMAND", "", tree.GROUPS[group], "", "Commands:", *_rows(tree.members(group)),
         "", f"Run '{PROGRAM} {group} COMMAND --help' for more information on a command."]
    )  # fmt: skip


def program_help(flags: Sequence[Flag]) -> str:
    """What ``wherry --help`` prints: every command, and the options that come before one."""
    everything = dict(tree.members(""))
    common = [(name, everything.pop(name)) for name in tree.COMMON]
    return "\n".join(
        [f"Usage:  {PROGRAM} [OPTIONS] COMMAND", "", "Containers in milliseconds", "",
         "Common Commands:", *_rows(common), "",
         "Management Commands:", *_rows(sorted(tree.GROUPS.items())), "",
         "Commands:", *_rows(sorted(everything.items())),
         *flag_lines(flags, (("Global Options", by_name(flags)),)), "",
         f"Run '{PROGRAM} COMMAND --help' for more information on a command."]
    )  # fmt: skip


def _rows(rows: Sequence[tuple[str, str]]) -> list[str]:
    width = max(11, *(len(name) for name, _ in rows))
    return [f"  {name:<{width}} {summary}" for name, summary in rows]
