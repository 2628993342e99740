"""``logs``."""

from __future__ import annotations

from wherry.cli.command import Context, Options, command, switch, text
from wherry.cli.errors import CliError
from wherry.cli.streams import STDOUT, Demultiplexer, write_all
from wherry.values.times import parse_moment

MOMENT_HELP = '(e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)'

LOGS_FLAGS = (
    switch("details", "", "Show extra details provided to logs"),
    switch("follow", "f", "Follow log output"),
    text("since", "", f"Show logs since timestamp {MOMENT_HELP}"),
    text("tail", "n", "Number of lines to show from the end of the logs", default="all"),
    switch("timestamps", "t", "Show timestamps"),
    text("until", "", f"Show logs before a timestamp {MOMENT_HELP}"),
)


@command("[OPTIONS] CONTAINER", LOGS_FLAGS, least=1, most=1)
def logs(context: Context, options: Options) -> int:
    """Print a container's output, each stream to its own; with ``--follow`` until it ends."""
    client = context.client
    query = {
        "stdout": True,
        "stderr": True,
        "since": moment(options.since, "since"),
        "until": moment(options.until, "until"),
        "timestamps": options.timestamps,
        "follow": options.follow,
        "tail": options.tail,
        "details": options.details,
    }
    found = client.call("GET", f"/containers/{options.args[0]}/json")
    response = client.request("GET", f"/containers/{found['Id']}/logs", query)
    demultiplexer = Demultiplexer()
    for piece in response.pieces():
        if found["Config"]["Tty"]:
            write_all(STDOUT, piece)
        else:
            demultiplexer.feed(piece)
    return 0


def moment(given: str, flag: str = "") -> str | None:
    """A time or an age for a query; None where none is given. CliError, which names the flag where that is told."""
    try:
        return parse_moment(given, local=True) if given else None
    except ValueError as error:
        raise CliError(f'invalid value for "{flag}": {error}' if flag else str(error)) from None
