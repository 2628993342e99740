"""Verbs on containers that print the name of each, or little more."""

from __future__ import annotations

import sys

from wherry.cli.command import Context, Options, command, number, switch, text
from wherry.cli.conversation import begin_wait, exit_code
from wherry.cli.errors import CliError
from wherry.cli.output import report_each, table
from wherry.values.ports import split_port, with_protocol
from wherry.values.quoting import visible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from wherry.cli.client import Query

    Json = dict[str, Any]

NOT_FOUND = 404
TOP_COLUMN = 20  # docker's least width of a column
MANY = "[OPTIONS] CONTAINER [CONTAINER...]"

ENDING_FLAGS = (
    text("signal", "s", "Signal to send to the container"),
    number("timeout", "t", "Seconds to wait before killing the container", default=None),
    number("time", "", "Seconds to wait before killing the container", default=None, alias_of="timeout"),
)
KILL_FLAGS = (text("signal", "s", "Signal to send to the container"),)
RM_FLAGS = (
    switch("force", "f", "Force the removal of a running container (uses SIGKILL)"),
    switch("link", "l", "Remove the specified link"),
    switch("volumes", "v", "Remove anonymous volumes associated with the container"),
)


def _each(context: Context, options: Options, method: str, verb: str, query: Query | None = None) -> int:
    paths = [f"/containers/{name}{verb}" for name in options.args]
    return report_each(options.args, context.client.call_each(method, paths, query))


def _ending(options: Options) -> Query:
    return {"signal": options.signal or None, "t": options.timeout}


@command(MANY, ENDING_FLAGS, least=1)
def stop(context: Context, options: Options) -> int:
    """0, or 1 where any of the containers could not be stopped."""
    return _each(context, options, "POST", "/stop", _ending(options))


@command(MANY, ENDING_FLAGS, least=1)
def restart(context: Context, options: Options) -> int:
    """0, or 1 where any of the containers could not be restarted."""
    return _each(context, options, "POST", "/restart", _ending(options))


@command(MANY, KILL_FLAGS, least=1)
def kill(context: Context, options: Options) -> int:
    """0, or 1 where any of the containers could not be signalled."""
    return _each(context, options, "POST", "/kill", {"signal": options.signal or None})


@command(MANY, RM_FLAGS, least=1)
def rm(context: Context, options: Options) -> int:
    """0, or 1 where any could not be removed; with ``--force``, that one is gone already is no failure."""
    query = {"force": options.force, "v": options.volumes, "link": options.link}
    paths = [f"/containers/{name}" for name in options.args]
    failed = False
    for name, error in zip(options.args, context.client.call_each("DELETE", paths, query), strict=True):
        report_each([name], [error])
        # As docker: with --force, that it is gone already is said and is no failure.
        failed |= error is not None and not (options.force and error.status == NOT_FOUND)
    return int(failed)


@command("CONTAINER [CONTAINER...]", least=1)
def wait(context: Context, options: Options) -> int:
    """Print each exit code, in the order of the arguments. 1 where a container could not be waited for."""
    code = 0
    for name in options.args:
        try:
            print(exit_code(begin_wait(context.client, name, None)), flush=True)
        except CliError as error:
            code = report_each([name], [error])
    return code


@command("CONTAINER [ps OPTIONS]", least=1, interspersed=False)
def top(context: Context, options: Options) -> int:
    """Print the container's processes, as ``ps`` with these options shows them."""
    name, *ps_options = options.args
    query = {"ps_args": " ".join(ps_options) or None}
    found = context.client.call("GET", f"/containers/{name}/top", query)
    lines = [found["Titles"], *found["Processes"]]
    sys.stdout.write(table([[visible(cell) for cell in line] for line in lines], TOP_COLUMN))
    return 0


@command("CONTAINER NEW_NAME", least=2, most=2)
def rename(context: Context, options: Options) -> int:
    """0. CliError in docker's words, behind the engine's, where it is refused."""
    old, new = (name.strip() for name in options.args)
    if not old or not new:
        raise CliError("Error: Neither old nor new names may be empty")
    try:
        context.client.call("POST", f"/containers/{old}/rename", {"name": new})
    except CliError as error:
        report_each([old], [error])
        raise CliError(f"Error: failed to rename container named {old}") from None
    return 0


@command("CONTAINER [PRIVATE_PORT[/PROTO]]", least=1, most=2)
def port(context: Context, options: Options) -> int:
    """Print all published ports, or the host's addresses of one. CliError where that is not published."""
    name = options.args[0]
    found = context.client.call("GET", f"/containers/{name}/json")
    ports: dict[str, list[Json] | None] = found["NetworkSettings"]["Ports"] or {}
    if len(options.args) == 1:
        for line in _mappings(ports):
            print(line)
        return 0
    wanted = options.args[1]
    bound = ports.get(with_protocol(wanted))
    if not bound:
        raise CliError(f"Error: No public port '{wanted}' published for {name}")
    for binding in bound:
        print(_address(binding))
    return 0


def _mappings(ports: dict[str, list[Json] | None]) -> Iterator[str]:
    for inside in sorted(ports, key=split_port):
        yield from (f"{inside} -> {_address(binding)}" for binding in ports[inside] or ())


def _address(binding: Json) -> str:
    address = binding["HostIp"]
    return f"[{address}]:{binding['HostPort']}" if ":" in address else f"{address}:{binding['HostPort']}"
