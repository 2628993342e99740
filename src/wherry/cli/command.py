"""How a command is declared: a function with its flags. Parsing and ``--help`` come from the same declaration."""

from __future__ import annotations

from wherry.cli.errors import ENGINE_FAILED, UsageError
from wherry.values.words import boolean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from wherry.cli.client import Client

    Parse = Callable[[str], Any]
    Examples = Sequence[tuple[str, str]]
    Groups = tuple[tuple[str, tuple["Flag", ...]], ...]

NOT_YET = "not supported yet"


def integer(text: str) -> int:
    """A flag's value, with ``0x`` and the like as in Go. ValueError, in Go's words."""
    try:
        return int(text, 0)
    except ValueError:
        raise ValueError(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


class Flag:
    """One option. ``word`` is its type in ``--help``; ``parse`` raises ValueError with a sentence."""

    limit = ""  # what of it is not supported yet

    def __init__(
        self,
        name: str,
        short: str,
        word: str,
        help: str,
        parse: Parse,
        default: Any,
        many: bool = False,
        hidden: bool = False,
        shown_default: str = "",
        alias_of: str = "",
    ) -> None:
        self.name, self.short, self.word, self.help = name, short, word, help
        self.parse, self.default, self.many = parse, default, many
        self.hidden, self.shown_default = hidden, shown_default
        self.key = (alias_of or name).replace("-", "_")

    @property
    def label(self) -> str:
        """How errors name the flag: ``-n, --name``."""
        return f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"

    @property
    def refused(self) -> bool:
        """Whether engines take none of its values."""
        return self.limit == NOT_YET

    @property
    def is_bool(self) -> bool:
        return self.parse is boolean


def switch(name: str, short: str, help: str, default: bool | None = False, hidden: bool = False) -> Flag:
    """A flag that needs no value; ``default=None`` tells "not given" from false."""
    return Flag(
        name, short, "", help, boolean, default, hidden=hidden, shown_default="true" if default else ""
    )


def text(
    name: str, short: str, help: str, word: str = "string", default: str = "", hidden: bool = False
) -> Flag:
    """Declare a flag with one text; ``word`` is what help calls its value."""
    shown = f'"{default}"' if default else ""
    return Flag(name, short, word, help, str, default, hidden=hidden, shown_default=shown)


def number(
    name: str, short: str, help: str, default: int | None = 0, word: str = "int", alias_of: str = ""
) -> Flag:
    """``alias_of``: only another name for a flag, and not shown in ``--help``."""
    shown = str(default) if default else ""
    return Flag(
        name,
        short,
        word,
        help,
        integer,
        default,
        hidden=bool(alias_of),
        shown_default=shown,
        alias_of=alias_of,
    )


def value(
    name: str, short: str, word: str, help: str, parse: Parse, default: Any, hidden: bool = False
) -> Flag:
    """Declare a flag whose text ``parse`` turns into a value; its ValueError becomes a usage error."""
    return Flag(name, short, word, help, parse, default, hidden=hidden)


def repeated(
    name: str, short: str, help: str, word: str = "list", parse: Parse = str, alias_of: str = ""
) -> Flag:
    """A flag that may come several times; its value is the list of what was given. One that is only another name for
    a flag is not shown in ``--help``."""
    return Flag(name, short, word, help, parse, None, many=True, hidden=bool(alias_of), alias_of=alias_of)


def all_of(groups: Groups) -> tuple[Flag, ...]:
    """The flags of all groups."""
    return tuple([flag for _, flags in groups for flag in flags])


def later(flag: Flag, limit: str = NOT_YET) -> Flag:
    """A flag of docker's that engines refuse, all of it or some of its values; ``--help`` says so."""
    flag.limit = limit
    return flag


class Options:
    """The values of a command's flags as attributes (dashes as underscores), and its arguments."""

    def __init__(self, flags: Sequence[Flag]) -> None:
        self.args: list[str] = []
        self.given: set[str] = set()
        self.help_by_letter = False
        self._values: dict[str, Any] = {f.key: [] if f.many else f.default for f in flags}

    def __getattr__(self, key: str) -> Any:
        try:
            return self._values[key]
        except KeyError:
            raise AttributeError(key) from None

    def set(self, flag: Flag, raw: str) -> None:
        """Take a flag's text in; of one that repeats, as one more. UsageError for a wrong value."""
        try:
            parsed = flag.parse(raw)
        except ValueError as error:
            from wherry.values.quoting import quoted

            raise UsageError(
                f'invalid argument {quoted(raw)} for "{flag.label}" flag: {error}', ENGINE_FAILED
            ) from None
        self.given.add(flag.key)
        if flag.many:
            self._values[flag.key].append(parsed)
        else:
            self._values[flag.key] = parsed


class Context:
    """What a command works with: the engine, and how the user called it (such as ``container ls``)."""

    def __init__(self, client: Client, environment: Mapping[str, str], called: str) -> None:
        self.client, self.environment, self.called = client, environment, called


class Command:
    """A declared command: what runs, how it is called, what it takes."""

    def __init__(
        self,
        run: Callable[[Context, Options], int | None],
        usage: str,
        flags: Sequence[Flag],
        least: int,
        most: int | None,
        interspersed: bool,
        quoted: bool,
        examples: Examples,
        groups: Groups,
    ) -> None:
        self.run, self.usage, self.flags = run, usage, flags
        self.least, self.most = least, most
        self.interspersed, self.quoted = interspersed, quoted
        self.examples, self.groups = examples, groups


def command(
    usage: str,
    flags: Sequence[Flag] = (),
    least: int = 0,
    most: int | None = None,
    interspersed: bool = True,
    quoted: bool = False,
    examples: Examples = (),
    groups: Groups = (),
) -> Callable[[Callable[[Context, Options], int | None]], Command]:
    """Declare a function as a command. ``least`` and ``most`` count its arguments; with ``interspersed=False`` flags
    end at the first argument, as for ``run IMAGE COMMAND -x``. With ``quoted`` an argument may itself be options in
    quotes: a word with a space in it is no flag. ``examples`` are command lines, each with what it does;
    ``groups`` are the flags under headings, where there are many."""

    def declare(function: Callable[[Context, Options], int | None]) -> Command:
        return Command(function, usage, flags, least, most, interspersed, quoted, examples, groups)

    return declare


HELP = switch("help", "", "Print usage")
HELP_LETTER = "h"  # asks for help too, where a command has no flag of that name


def parse(
    flags: Sequence[Flag], words: Sequence[str], interspersed: bool = True, quoted: bool = False
) -> Options:
    """The words as options and arguments, by the rules of Go's pflag. Raises UsageError."""
    options = Options([*flags, HELP])
    by_name = {flag.name: flag for flag in (*flags, HELP)}
    by_short = {flag.short: flag for flag in flags if flag.short}
    queue = iter(words)
    for word in queue:
        if word == "--":
            options.args.extend(queue)
        elif quoted and " " in word:
            options.args.append(word)
        elif word.startswith("--"):
            _long(options, by_name, word, queue)
        elif word.startswith("-") and word != "-":
            _short(options, by_short, word, queue)
        else:
            options.args.append(word)
            if not interspersed:
                options.args.extend(queue)
    return options


def _long(options: Options, by_name: Mapping[str, Flag], word: str, queue: Iterator[str]) -> None:
    name, equals, raw = word[2:].partition("=")
    flag = by_name.get(name)
    if flag is None:
        from wherry.cli.similar import did_you_mean

        shown = (known for known, flag in by_name.items() if not flag.hidden)
        raise UsageError(f"unknown flag: --{name}", ENGINE_FAILED, did_you_mean(name, shown, "--"))
    if not equals:
        raw = "true" if flag.is_bool else _next(queue, f"flag needs an argument: --{name}")
    options.set(flag, raw)


def _short(options: Options, by_short: Mapping[str, Flag], word: str, queue: Iterator[str]) -> None:
    rest = word[1:]
    while rest:
        letter, rest = rest[0], rest[1:]
        flag = by_short.get(letter)
        if flag is None and letter == HELP_LETTER:
            options.help_by_letter = True
            flag = HELP
        if flag is None:
            raise UsageError(f"unknown shorthand flag: '{letter}' in {word}", ENGINE_FAILED)
        if rest.startswith("="):
            raw, rest = rest[1:], ""
        elif flag.is_bool:
            raw = "true"
        elif rest:
            raw, rest = rest, ""
        else:
            raw = _next(queue, f"flag needs an argument: '{letter}' in {word}")
        options.set(flag, raw)


def _next(queue: Iterator[str], complaint: str) -> str:
    for word in queue:
        return word
    raise UsageError(complaint, ENGINE_FAILED)


def check_arguments(declared: Command, name: str, count: int) -> None:
    """Raises UsageError where the number of arguments is not what the command takes."""
    if declared.most == 0 and count:
        raise UsageError(f"'{name}' accepts no arguments")
    if declared.least <= count and (declared.most is None or count <= declared.most):
        return
    exact = declared.least == declared.most
    limit = declared.least if count < declared.least else declared.most
    how = "" if exact else "at least " if count < declared.least else "at most "
    raise UsageError(f"'{name}' requires {how}{limit} argument{'' if limit == 1 else 's'}")
