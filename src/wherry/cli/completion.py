"""``completion SHELL``, and what the script that it prints asks for: ``__complete -- WORDS``, the last one unfinished.

Verbs, options and the kinds of arguments come from the declarations that ``--help`` shows; names come from the engine,
which is not started for them.
"""

from __future__ import annotations

from wherry.cli import tree
from wherry.cli.client import Client
from wherry.cli.command import Context, Options, command
from wherry.cli.completion_scripts import SCRIPTS
from wherry.cli.errors import CliError
from wherry.cli.run_flags import PULL_CHOICES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from wherry.cli.command import Command, Flag

    Candidates = Iterable[tuple[str, str]]  # each with a description, which may be empty
    Names = Callable[[str], list[str]]  # the engine's, of a kind

FILES = ":files"  # what is said to the shell where it knows better: names of files
PATIENCE = 3  # seconds; nobody waits longer behind a Tab

# What an argument is, by its word in the usage line.
KINDS = {
    "CONTAINER": "containers", "A": "containers", "B": "containers", "NAME|ID": "everything",
    "IMAGE": "images", "SOURCE_IMAGE[:TAG]": "images", "REPOSITORY[:TAG]": "images",
    "file|URL|-": FILES, "COMMAND": FILES, "ARG": FILES, "bash|zsh|fish": "shells",
}  # fmt: skip
RUNNING = ("attach", "exec", "kill", "port", "stop", "top", "explain")
FILE_FLAGS = ("cidfile", "device", "env-file", "input", "label-file", "mount", "volume", "html")
CHOICES = {
    "cgroupns": ("host", "private"), "ipc": ("host", "none", "private", "shareable", "container:"),
    "log-driver": ("json-file", "none"), "network": ("bridge", "host", "none", "container:"),
    "pid": ("host", "container:"), "pull": PULL_CHOICES, "restart": ("no",),
    "signal": ("HUP", "INT", "KILL", "QUIT", "TERM", "USR1", "USR2"), "type": ("container", "image", "network"),
    "uts": ("host",), "attach": ("stdin", "stdout", "stderr"), "format": ("json", "table"),
}  # fmt: skip


@command(
    "bash|zsh|fish",
    least=1,
    most=1,
    examples=(
        ("wherry completion bash >/etc/bash_completion.d/wherry", "for bash"),
        ("wherry completion zsh >/usr/local/share/zsh/site-functions/_wherry", "for zsh"),
        ("wherry completion fish >~/.config/fish/completions/wherry.fish", "for fish"),
    ),
)
def completion(context: Context, options: Options) -> int:
    """Print the script. CliError for a shell that there is none for."""
    shell = options.args[0]
    if shell not in SCRIPTS:
        raise CliError(f"no completion for {shell!r}, only for {', '.join(SCRIPTS)}")
    print(SCRIPTS[shell], end="")
    return 0


@command("-- WORD...", least=1, interspersed=False)
def complete(context: Context, options: Options) -> int:
    """Print what the last word can become, one a line, each with a tab and its description."""
    from signal import alarm

    alarm(PATIENCE)
    *before, current = options.args
    for name, said in candidates(before, current, lambda kind: names_of(kind, before, context)):
        if (name.startswith(current) and name.isprintable()) or name == FILES:
            print(f"{name}\t{said}" if said else name)
    return 0


def candidates(before: Sequence[str], current: str, names: Names) -> Candidates:
    """What may stand where ``current`` begins, after these words."""
    from wherry.cli.main import GLOBAL_FLAGS

    typed = Typed(GLOBAL_FLAGS, False)
    typed.read(before)
    found = tree.find(typed.args)
    if typed.pending:
        return of_flag(typed.pending)
    if found is None:
        return without_command(typed.args, current)
    entry, called, count = found
    declared = entry.load()
    inner = Typed(declared.flags, declared.interspersed)
    inner.read(typed.args[count:])
    if inner.pending:
        page = inner.pending.name == "html"  # a file, or the container
        return [*of_flag(inner.pending), *((name, "") for name in (names("running") if page else ()))]
    name, equals, _ = current.partition("=")
    if inner.flags_end or not current.startswith("-"):
        return of_argument(declared, called.split()[-1], len(inner.args), names)
    if equals and name[2:] in inner.by_name:
        return [(f"{name}={choice}", "") for choice, _ in of_flag(inner.by_name[name[2:]])]
    return flag_names(declared.flags)


class Typed:
    """Words as a command reads them, but for their values, which may be wrong as yet."""

    def __init__(self, flags: Sequence[Flag], interspersed: bool) -> None:
        self.by_name = {flag.name: flag for flag in flags}
        self.by_short = {flag.short: flag for flag in flags if flag.short}
        self.args: list[str] = []
        self.pending: Flag | None = None  # a flag whose value comes next
        self.flags_end = False
        self._interspersed = interspersed

    def read(self, words: Iterable[str]) -> None:
        """Take the words in, in order."""
        for word in words:
            if self.pending:
                self.pending = None
            elif self.flags_end or word == "-" or not word.startswith("-"):
                self.args.append(word)
                self.flags_end = self.flags_end or not self._interspersed
            elif word == "--":
                self.flags_end = True
            else:
                self.pending = self._without_value(word)

    def _without_value(self, word: str) -> Flag | None:
        """The flag that this word ends in, where it needs a value and has none."""
        if "=" in word:
            return None
        if word.startswith("--"):
            flag = self.by_name.get(word[2:])
            return flag if flag and not flag.is_bool else None
        for at, letter in enumerate(word[1:], 2):
            flag = self.by_short.get(letter)
            if flag and not flag.is_bool:
                return flag if at == len(word) else None
        return None


def without_command(args: Sequence[str], current: str) -> Candidates:
    """The commands of a group, or all; in front of them also the program's options."""
    from wherry.cli.main import GLOBAL_FLAGS

    if not args:
        if current.startswith("-"):
            return flag_names(GLOBAL_FLAGS)
        return [*tree.members(""), *tree.GROUPS.items()]
    return tree.members(args[0]) if len(args) == 1 and args[0] in tree.GROUPS else ()


def flag_names(flags: Sequence[Flag]) -> Candidates:
    """Options that work, with the first line of their help."""
    shown = (flag for flag in flags if not flag.hidden and not flag.refused)
    return [*((f"--{flag.name}", flag.help.splitlines()[0]) for flag in shown), ("--help", "Print usage")]


def of_flag(flag: Flag) -> Candidates:
    """Values of an option, where there are a few, or files."""
    if flag.name in FILE_FLAGS:
        return [(FILES, "")]
    return [(choice, "") for choice in CHOICES.get(flag.name, ())]


def of_argument(declared: Command, verb: str, number: int, names: Names) -> Candidates:
    """What the usage line says of the argument of that number, from 0."""
    words = [word for word in declared.usage.split() if word != "[OPTIONS]"]
    if number < len(words):
        word = words[number]
    elif words and words[-1].endswith("...]"):
        word = words[-1]
    else:
        return ()
    word = word.removeprefix("[").removesuffix("]") if word.startswith("[") else word
    kind = KINDS.get(word.removesuffix("..."), "")
    if kind == FILES:
        return [(FILES, "")]
    if kind == "containers" and verb in RUNNING:
        kind = "running"
    return [(name, "") for name in names(kind)]


def names_of(kind: str, before: Sequence[str], context: Context) -> list[str]:
    """The engine's names of a kind; none where it cannot be asked."""
    if kind == "shells":
        return list(SCRIPTS)
    try:
        client = engine_of(before, context)
        if kind in ("containers", "running"):
            return _containers(client, running=kind == "running")
        if kind == "images":
            return _images(client)
        return [*_containers(client, running=False), *_images(client)] if kind == "everything" else []
    except CliError:
        return []


def engine_of(before: Sequence[str], context: Context) -> Client:
    """The engine that the words before ask, not to be started. CliError for options that are wrong."""
    from wherry.cli.main import client_of, global_options

    quiet = {**context.environment, "WHERRY_AUTOSTART": "0"}
    options = global_options(before)
    return client_of(options, quiet) if options.host else Client(context.client.host, quiet)


def _containers(client: Client, running: bool) -> list[str]:
    found = client.call("GET", "/containers/json", {"all": not running})
    return sorted(container["Names"][0].lstrip("/") for container in found)


def _images(client: Client) -> list[str]:
    found = client.call("GET", "/images/json")
    return sorted(tag for image in found for tag in image.get("RepoTags") or ())
