"""``wherry``: parse, find the command, run it, and turn whatever went wrong into one line and an exit code."""

from __future__ import annotations

import os
import sys

from wherry.cli import tree
from wherry.cli.client import Client
from wherry.cli.command import Context, check_arguments, parse, repeated, switch, text
from wherry.cli.errors import INTERRUPTED, PIPE_CLOSED, CliError, UsageError
from wherry.cli.host import choose_host
from wherry.cli.screen import Screen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wherry.cli.command import Options

PROGRAM = "wherry"
DEPRECATED = "Flag shorthand -h has been deprecated, use --help"  # docker says so on the same streams

GLOBAL_FLAGS = (
    repeated("host", "H", "Engine socket to connect to"),
    switch("version", "v", "Print version information and quit"),
    text("config", "", "Ignored: there are no client config files", hidden=True),
    text("log-level", "l", "Ignored, as the client has no log", hidden=True),
    switch("debug", "D", "Ignored, as the client has no log", hidden=True),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; returns its exit code and never raises. Without ``argv`` this is the whole program, which
    ends here: to take the interpreter down in order costs 4 ms of a command's 30."""
    _fill_standard_streams()
    code = _guarded(sys.argv[1:] if argv is None else argv)
    if argv is None:
        sys.stderr.flush()
        os._exit(code)
    return code


def _fill_standard_streams() -> None:
    """A stream that the caller has closed is /dev/null: its number would go to a socket, and be read as input."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


def _guarded(words: Sequence[str]) -> int:
    streams = sys.stdout, sys.stderr
    try:
        if not sys.stdout.isatty():
            sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")  # type: ignore[union-attr]
        sys.stdout, sys.stderr = map(Screen, streams)
        return _sentenced(words)
    finally:
        sys.stdout, sys.stderr = streams


def _sentenced(words: Sequence[str]) -> int:
    """The exit code; whatever went wrong has been said in a line."""
    try:
        code = dispatch(words, os.environ)
        sys.stdout.flush()
    except CliError as error:
        code = _fail(error)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        _forget_output()
        code = PIPE_CLOSED
    except OSError as error:
        code = _fail(CliError(_sentence(error)))
    except Exception as error:
        if os.environ.get("WHERRY_DEBUG"):
            raise
        what = f"{type(error).__name__}: {error}"
        code = _fail(CliError(f"unexpected answer or fault: {what} (WHERRY_DEBUG=1 shows where)"))
    return code


def dispatch(words: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run the command that the words name; its exit code. CliErrors are the caller's to print."""
    options = global_options(words)
    words = options.args
    if options.version:
        from wherry import __version__

        print(f"Wherry version {__version__}")
        return 0
    if words[:1] == ["help"]:
        words = [*words[1:], "--help"]
    elif options.help:
        words = [*words, "--help"]
    if options.help_by_letter:
        print(DEPRECATED, file=sys.stderr)
    if not words or words[0] == "--help":
        return _say(_program_help())
    found = tree.find(words)
    if found is None:
        return _without_command(words)
    entry, called, count = found
    return _run(entry, called, words[count:], Context(client_of(options, environment), environment, called))


def _without_command(words: Sequence[str]) -> int:
    """Help of a group; for any other words that are no command, UsageError with what there is instead."""
    from wherry.cli.later import refusal
    from wherry.cli.similar import did_you_mean

    group = words[0] if words[0] in tree.GROUPS else ""
    if group and (len(words) == 1 or words[1] in ("--help", "-h")):
        from wherry.cli.help import group_help

        return _say(group_help(group), parse((), words[1:]))
    refused = refusal(words)
    if refused:
        raise UsageError(refused)
    *before, last = words[: 2 if group else 1]
    where = " ".join([PROGRAM, *before])
    known = tree.names(group) if group else [*tree.names(group), "help"]
    hints = [
        did_you_mean(last, known, f"{where} "),
        f"Run '{where} --help' for more information",
    ]
    raise UsageError(f"unknown command: {where} {last}", hint="\n\n".join(filter(None, hints)))


def _run(entry: tree.Entry, called: str, words: Sequence[str], context: Context) -> int:
    declared = entry.load()
    try:
        options = parse(declared.flags, words, declared.interspersed, declared.quoted)
        if options.help:
            from wherry.cli.help import command_help

            return _say(command_help(entry, declared, called), options)
        check_arguments(declared, f"{PROGRAM} {called}", len(options.args))
    except UsageError as error:
        from wherry.cli.help import usage_line

        usage = f"{usage_line(declared, called)}\n\nRun '{PROGRAM} {called} --help' for more information"
        error.hint = "\n\n".join(filter(None, (error.hint, usage)))
        raise
    return declared.run(context, options) or 0


def global_options(words: Sequence[str]) -> Options:
    """The options in front of a command; the command itself, and what follows, are the arguments. UsageError."""
    try:
        return parse(GLOBAL_FLAGS, words, interspersed=False)
    except UsageError as error:
        usage = f"Usage:  {PROGRAM} [OPTIONS] COMMAND\n\nRun '{PROGRAM} --help' for more information"
        error.hint = "\n\n".join(filter(None, (error.hint, usage)))
        raise


def client_of(options: Options, environment: Mapping[str, str]) -> Client:
    """For the engine that the program's options or the environment name. CliError where they name none."""
    if len(options.host) > 1:
        raise CliError("specify only one -H")
    return Client(choose_host(options.host[0] if options.host else None, environment), environment)


def _program_help() -> str:
    from wherry.cli.help import program_help

    return program_help(GLOBAL_FLAGS)


def _say(text: str, asked: Options | None = None) -> int:
    """Print help, after docker's word on ``-h`` where a command was asked by that."""
    if asked and asked.help_by_letter:
        print(DEPRECATED)
    print(text)
    return 0


def _fail(error: CliError) -> int:
    """One line on stderr, and the hint; output already written comes first."""
    try:
        sys.stdout.flush()
    except OSError:
        _forget_output()
    hint = f"\n{error.hint}\n" if error.hint else ""
    try:
        sys.stderr.write((f"{PROGRAM}: {error}\n" if str(error) else "") + hint)
    except OSError:
        pass
    return error.code


def _sentence(error: OSError) -> str:
    reason = (error.strerror or str(error)).lower()
    return f"open {error.filename}: {reason}" if error.filename else reason


def _forget_output() -> None:
    """Let the interpreter flush into nothing at its end, so that a closed pipe stays quiet."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


if __name__ == "__main__":
    sys.exit(main())
