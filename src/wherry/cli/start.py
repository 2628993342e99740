"""``start``, with ``-a`` attached."""

from __future__ import annotations

import sys

from wherry.cli.command import Context, Options, command, switch, text
from wherry.cli.conversation import Attached, attach, begin_wait, converse, exit_code, signals_for
from wherry.cli.errors import ApiError, CliError
from wherry.cli.terminal import check_tty

START_FLAGS = (
    switch("attach", "a", "Attach STDOUT/STDERR and forward signals"),
    text("detach-keys", "", "Override the key sequence for detaching a container"),
    switch("interactive", "i", "Attach container's STDIN"),
)


@command("[OPTIONS] CONTAINER [CONTAINER...]", START_FLAGS, least=1)
def start(context: Context, options: Options) -> int:
    """0; attached, the container's exit code. CliError where any could not be started."""
    if not options.attach and not options.interactive:
        return _start_all(context, options)
    if len(options.args) > 1:
        raise CliError("you cannot start and attach multiple containers at once")
    return _start_attached(context, options, options.args[0])


def _start_all(context: Context, options: Options) -> int:
    failed = []
    query = {"detachKeys": options.detach_keys or None}
    paths = [f"/containers/{name}/start" for name in options.args]
    for name, error in zip(options.args, context.client.call_each("POST", paths, query), strict=True):
        if error:
            print(f"wherry: {error}", file=sys.stderr)
            failed.append(name)
        else:
            print(name, flush=True)
    if failed:
        raise CliError(f"Error: failed to start containers: {', '.join(failed)}")
    return 0


def _start_attached(context: Context, options: Options, name: str) -> int:
    client = context.client
    found = client.call("GET", f"/containers/{name}/json")
    config, container = found["Config"], found["Id"]
    stdin = options.interactive and bool(config.get("OpenStdin"))
    check_tty(config["Tty"], stdin)
    connection = attach(client, container, stdin, True, True, options.detach_keys)
    attached = Attached(f"/containers/{container}", connection, config["Tty"], stdin, options.detach_keys)
    signals, resizer = signals_for(client, attached, None if config["Tty"] else container)
    removes = (found.get("HostConfig") or {}).get("AutoRemove")
    with signals:
        waiting = begin_wait(client, container, "removed" if removes else "next-exit")

        def begin() -> None:
            try:
                client.call("POST", f"/containers/{container}/start")
            except ApiError as error:
                print(f"wherry: {error}", file=sys.stderr)
                raise CliError(f"Error: failed to start containers: {name}") from None

        if converse(client, attached, signals, begin, resizer):
            return 0
        return exit_code(waiting, signals)
