"""``attach``."""

from __future__ import annotations

from wherry.cli.command import Context, Options, command, switch, text
from wherry.cli.conversation import Attached, begin_wait, converse, exit_code, signals_for
from wherry.cli.conversation import attach as open_stream
from wherry.cli.errors import CliError
from wherry.cli.terminal import NO_SIZE, check_tty, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Json = dict[str, Any]


def _check_state(state: Json) -> None:
    if not state["Running"]:
        raise CliError("You cannot attach to a stopped container, start it first")
    if state.get("Paused"):
        raise CliError("You cannot attach to a paused container, unpause it first")
    if state.get("Restarting"):
        raise CliError("You cannot attach to a restarting container, wait until it is running")


ATTACH_FLAGS = (
    text("detach-keys", "", "Override the key sequence for detaching a container"),
    switch("no-stdin", "", "Do not attach STDIN"),
    switch("sig-proxy", "", "Proxy all received signals to the process", default=True),
)


@command("[OPTIONS] CONTAINER", ATTACH_FLAGS, least=1, most=1)
def attach(context: Context, options: Options) -> int:
    """The container's exit code. CliError where the user has detached."""
    client, name = context.client, options.args[0]
    waiting = begin_wait(client, name, None)
    found = client.call("GET", f"/containers/{name}/json")
    _check_state(found["State"])
    tty, stdin = found["Config"]["Tty"], bool(found["Config"].get("OpenStdin")) and not options.no_stdin
    check_tty(tty, stdin)
    connection = open_stream(client, name, stdin, True, True, options.detach_keys)
    attached = Attached(f"/containers/{name}", connection, tty, stdin, options.detach_keys)
    signals, resizer = signals_for(client, attached, name if options.sig_proxy and not tty else None)

    def repaint() -> None:
        """Another size first makes the program inside paint its screen again."""
        rows, columns = size()
        if resizer and (rows, columns) != NO_SIZE:
            resizer.send(rows + 1, columns + 1)

    with signals:
        if converse(client, attached, signals, repaint, resizer):
            raise CliError("read escape sequence")
        return exit_code(waiting, signals)
