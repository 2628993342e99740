"""``exec``."""

from __future__ import annotations

from wherry.cli.command import Context, Options, command, repeated, switch, text
from wherry.cli.conversation import Attached, converse, signals_for
from wherry.cli.errors import CliError
from wherry.cli.key_files import parse_env, read_key_file, with_environment
from wherry.cli.terminal import NO_SIZE, check_tty, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Json = dict[str, Any]

EXEC_FLAGS = (
    switch("detach", "d", "Detached mode: run command in the background"),
    text("detach-keys", "", "Override the key sequence for detaching a container"),
    repeated("env", "e", "Set environment variables", parse=parse_env),
    repeated("env-file", "", "Read in a file of environment variables"),
    switch("interactive", "i", "Keep STDIN open even if not attached"),
    switch("privileged", "", "Give extended privileges to the command"),
    switch("tty", "t", "Allocate a pseudo-TTY"),
    text("user", "u", 'Username or UID (format: "<name|uid>[:<group|gid>]")'),
    text("workdir", "w", "Working directory inside the container"),
)


EXAMPLES = (
    ("wherry exec -it web sh", "a shell in a running container"),
    ("wherry exec -u nobody -w /tmp web id", "as another user, elsewhere"),
)


@command("[OPTIONS] CONTAINER COMMAND [ARG...]", EXEC_FLAGS, least=2, interspersed=False, examples=EXAMPLES)
def execute(context: Context, options: Options) -> int:
    """The command's exit code; 0 where it is detached. CliError where the user has detached meanwhile."""
    client, container = context.client, options.args[0]
    body = _body(options, context.environment)
    if not options.detach:
        check_tty(options.tty, options.interactive)
    made = client.call("POST", f"/containers/{container}/exec", None, body)["Id"]
    start = {"Detach": options.detach, "Tty": options.tty, **_console(options)}
    if options.detach:
        client.call("POST", f"/exec/{made}/start", None, start)
        return 0
    connection = client.hijack(f"/exec/{made}/start", None, start)
    attached = Attached(f"/exec/{made}", connection, options.tty, options.interactive, options.detach_keys)
    signals, resizer = signals_for(client, attached, None)
    with signals:
        if converse(client, attached, signals, _ready, resizer):
            raise CliError("read escape sequence")
    return int(client.call("GET", f"/exec/{made}/json")["ExitCode"] or 0)


def _ready() -> None:
    """An exec runs as soon as its stream is open."""


def _body(options: Options, environment: Mapping[str, str]) -> Json:
    attach = not options.detach
    try:
        files = [line for path in options.env_file for line in read_key_file(path, "env", environment)]
    except ValueError as error:
        raise CliError(str(error)) from None
    return {
        "User": options.user,
        "Privileged": options.privileged,
        "Tty": options.tty,
        "AttachStdin": attach and options.interactive,
        "AttachStderr": attach,
        "AttachStdout": attach,
        "Detach": options.detach,
        "DetachKeys": options.detach_keys,
        "Env": [*files, *with_environment(options.env, environment)] or None,
        "WorkingDir": options.workdir,
        "Cmd": options.args[1:],
        **_console(options),
    }


def _console(options: Options) -> Json:
    console = size() if options.tty and not options.detach else NO_SIZE
    return {} if console == NO_SIZE else {"ConsoleSize": list(console)}
