"""``info``: the engine and its machine, in Docker's layout."""

from __future__ import annotations

import sys

from wherry import __version__
from wherry.cli.command import Context, Options, command
from wherry.cli.errors import CliError
from wherry.cli.output import object_format, print_object
from wherry.values.quoting import visible
from wherry.values.sizes import human_memory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Json = dict[str, Any]

CLIENT_ERRORS = "ServerErrors"


@command("[OPTIONS]", (object_format(),), most=0)
def info(context: Context, options: Options) -> int:
    """Print what client and engine say of themselves. Where no engine answers, a failure follows."""
    failure: CliError | None = None
    found: Json = {}
    try:
        found = context.client.call("GET", "/info")
    except CliError as error:
        failure = error
    if options.format:
        client = {"ClientInfo": {"Version": __version__, "Debug": False, "Context": "default"}}
        print_object(
            {**found, **({CLIENT_ERRORS: [str(failure)]} if failure else {}), **client}, options.format
        )
        return 1 if failure else 0
    for line in (
        "Client:",
        f" Version:    {__version__}",
        " Debug Mode: false",
        "",
        "Server:",
        *_lines(found),
    ):
        print(visible(line))
    if failure:
        raise failure
    for warning in found.get("Warnings") or ():
        print(warning, file=sys.stderr)
    return 0


def _lines(info: Json) -> Iterator[str]:
    if not info:
        return
    yield from _counts(info)
    yield f" Server Version: {info['ServerVersion']}"
    yield f" Storage Driver: {info['Driver']}"
    yield from (f"  {key}: {given}" for key, given in info.get("DriverStatus") or ())
    yield from _plain(info, {"Logging Driver": "LoggingDriver", "Cgroup Driver": "CgroupDriver"})
    yield from _plain(info, {"Cgroup Version": "CgroupVersion"})
    yield from _plugins(info.get("Plugins") or {})
    if info.get("CDISpecDirs"):
        yield " CDI spec directories:"
        yield from (f"  {folder}" for folder in info["CDISpecDirs"])
    yield f" Swarm: {(info.get('Swarm') or {}).get('LocalNodeState', 'inactive')}"
    yield " Runtimes: " + " ".join(sorted(info.get("Runtimes") or {}))
    yield from _plain(info, {"Default Runtime": "DefaultRuntime", "Init Binary": "InitBinary"})
    for name in ("containerd", "runc", "init"):
        yield f" {name} version: {(info.get(f'{name.capitalize()}Commit') or {}).get('ID', '')}"
    yield from _security(info.get("SecurityOptions") or ())
    yield from _machine(info)


def _counts(info: Json) -> Iterator[str]:
    yield f" Containers: {info['Containers']}"
    for state in ("Running", "Paused", "Stopped"):
        yield f"  {state}: {info[f'Containers{state}']}"
    yield f" Images: {info['Images']}"


def _plain(info: Json, names: dict[str, str]) -> Iterator[str]:
    for shown, key in names.items():
        if info.get(key) not in (None, ""):
            yield f" {shown}: {_said(info[key])}"


def _said(given: object) -> str:
    return str(given).lower() if isinstance(given, bool) else str(given)


def _plugins(plugins: Json) -> Iterator[str]:
    yield " Plugins:"
    for kind in ("Volume", "Network", "Log"):
        yield f"  {kind}: {' '.join(plugins.get(kind) or ())}"


def _security(options: Any) -> Iterator[str]:
    if not options:
        return
    yield " Security Options:"
    for option in options:
        parts = dict(part.partition("=")[::2] for part in option.split(","))
        yield f"  {parts.pop('name', option)}"
        yield from (f"   {key.capitalize()}: {given}" for key, given in parts.items())


def _machine(info: Json) -> Iterator[str]:
    yield from _plain(
        info,
        {
            "Kernel Version": "KernelVersion",
            "Operating System": "OperatingSystem",
            "OSType": "OSType",
            "Architecture": "Architecture",
            "CPUs": "NCPU",
        },
    )
    yield f" Total Memory: {human_memory(info['MemTotal'])}"
    yield from _plain(info, {"Name": "Name", "ID": "ID", "Root Dir": "DockerRootDir", "Debug Mode": "Debug"})
    yield from (f" {label}" for label in _labels(info))
    yield from _plain(info, {"Experimental": "ExperimentalBuild"})
    registries = (info.get("RegistryConfig") or {}).get("InsecureRegistryCIDRs") or ()
    if registries:
        yield " Insecure Registries:"
        yield from (f"  {network}" for network in registries)
    yield from _plain(info, {"Live Restore Enabled": "LiveRestoreEnabled"})


def _labels(info: Json) -> list[str]:
    labels = info.get("Labels") or []
    return ["Labels:", *(f" {label}" for label in labels)] if labels else []
