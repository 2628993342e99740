"""``version``."""

from __future__ import annotations

import os

from wherry import __version__
from wherry.cli.client import NEWEST_API
from wherry.cli.command import Context, Options, command
from wherry.cli.errors import CliError
from wherry.cli.output import object_format, print_object

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Json = dict[str, Any]

MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}
PYTHON = "python"  # how our engine says in GoVersion what it runs on
INDENT = 18  # where the server's values begin


@command("[OPTIONS]", (object_format(),), most=0)
def version(context: Context, options: Options) -> int:
    """Print the versions of client and engine. Where no engine answers, a failure follows."""
    failure: CliError | None = None
    server: Json | None = None
    try:
        server = context.client.call("GET", "/version")
    except CliError as error:
        failure = error
    both = {"Client": client_version(context.client.api_version if server else NEWEST_API), "Server": server}
    if options.format:
        print_object(both, options.format)
    else:
        print("\n".join([*_client_lines(both["Client"]), *(_server_lines(server) if server else ())]))
    if failure:
        raise failure
    return 0


def client_version(api: str) -> Json:
    machine = os.uname().machine
    return {
        "Version": __version__,
        "ApiVersion": api,
        "DefaultAPIVersion": NEWEST_API,
        "Os": "linux",
        "Arch": MACHINES.get(machine, machine),
    }


def _client_lines(client: Json | None) -> Iterator[str]:
    assert client is not None
    yield "Client:"
    yield f" {'Version:':<{INDENT}} {client['Version']}"
    yield f" {'API version:':<{INDENT}} {client['ApiVersion']}"
    yield f" {'OS/Arch:':<{INDENT}} {client['Os']}/{client['Arch']}"


def _server_lines(server: Json) -> Iterator[str]:
    platform = (server.get("Platform") or {}).get("Name", "")
    yield f"\nServer: {platform}".rstrip(" ")
    for component in server.get("Components") or [_as_component(server)]:
        yield f" {component['Name']}:"
        yield f"  {'Version:':<{INDENT - 1}} {component['Version']}".rstrip()
        details = component.get("Details") or {}
        if component["Name"] == "Engine":
            yield from _engine_lines(details)
        elif "GitCommit" in details:
            yield f"  {'GitCommit:':<{INDENT - 1}} {details['GitCommit']}"


def _as_component(server: Json) -> Json:
    """An old engine has no components; it is one itself."""
    details = {key: str(given) for key, given in server.items() if isinstance(given, (str, bool))}
    return {"Name": "Engine", "Version": server["Version"], "Details": details}


def _engine_lines(details: Json) -> Iterator[str]:
    runtime = details.get("GoVersion", "")
    api = f"{details.get('ApiVersion', '')} (minimum version {details.get('MinAPIVersion', '')})"
    rows = {
        "API version:": api,
        "Python version:" if runtime.startswith(PYTHON) else "Go version:": runtime.removeprefix(PYTHON),
        "Git commit:": details.get("GitCommit", ""),
        "Built:": details.get("BuildTime", ""),
        "OS/Arch:": f"{details.get('Os', '')}/{details.get('Arch', '')}",
        "Experimental:": details.get("Experimental", "false"),
    }
    for name, given in rows.items():
        if given:
            yield f"  {name:<{INDENT - 1}} {given}"
