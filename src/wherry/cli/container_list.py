"""``ps``, also called ``container ls``."""

from __future__ import annotations

import sys
import time

from wherry.cli.command import Context, Options, command, number, switch
from wherry.cli.output import (
    filter_query,
    filters,
    list_format,
    local_time,
    needs,
    print_rows,
    short_id,
)
from wherry.cli.row import Row
from wherry.values.durations import human_duration
from wherry.values.quoting import quoted
from wherry.values.sizes import human_size
from wherry.values.words import shortened

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    Json = dict[str, Any]

COMMAND_WIDTH = 20
MOUNT_WIDTH = 15
COLUMNS = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names")
HEADERS = {
    "ID": "CONTAINER ID",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "CreatedAt": "CREATED AT",
    "RunningFor": "CREATED",
    "State": "STATE",
    "Status": "STATUS",
    "Ports": "PORTS",
    "Names": "NAMES",
    "Size": "SIZE",
    "Labels": "LABELS",
    "Mounts": "MOUNTS",
    "LocalVolumes": "LOCAL VOLUMES",
    "Networks": "NETWORKS",
    "Platform": "PLATFORM",
}

PS_FLAGS = (
    switch("all", "a", "Show all containers (default shows just running)"),
    filters(),
    list_format(),
    number("last", "n", "Show n last created containers (includes all states)", default=-1),
    switch("latest", "l", "Show the latest created container (includes all states)"),
    switch("no-trunc", "", "Don't truncate output"),
    switch("quiet", "q", "Only display container IDs"),
    switch("size", "s", "Display total file sizes"),
)


@command("[OPTIONS]", PS_FLAGS, most=0)
def ls(context: Context, options: Options) -> int:
    """Print containers, newest first, as a table, ids or by a template."""
    limit = options.last if options.last > 0 else 1 if options.latest else None
    query = {
        "all": options.all,
        "limit": limit,
        "size": options.size or needs(options.format, "Size"),
        "filters": filter_query(options.filter),
    }
    found = context.client.call("GET", "/containers/json", query)
    if options.quiet:
        if options.format:
            print(
                "WARNING: Ignoring custom format, because both --format and --quiet are set.", file=sys.stderr
            )
        _print_ids(found, options.no_trunc)
        return 0
    columns = (*COLUMNS, "Size") if options.size else COLUMNS
    rows = [row(container, not options.no_trunc) for container in found]
    print_rows(rows, HEADERS, columns, options.format)
    return 0


def _print_ids(found: Iterable[Json], whole: bool) -> None:
    for container in found:
        print(container["Id"] if whole else short_id(container["Id"]))


def row(container: Json, short: bool) -> Row:
    """A container as the list shows it."""
    labels: dict[str, str] = container.get("Labels") or {}
    mounts: list[Json] = container.get("Mounts") or []
    words = container["Command"]
    return Row(
        ID=short_id(container["Id"]) if short else container["Id"],
        Image=_image(container, short),
        Command=quoted(shortened(words, COMMAND_WIDTH) if short else words),
        CreatedAt=local_time(container["Created"]),
        RunningFor=human_duration(time.time() - container["Created"]) + " ago",
        State=container["State"],
        Status=container["Status"],
        Ports=ports_text(container.get("Ports") or []),
        Names=_names(container["Names"], short),
        Size=_size(container),
        Labels=",".join(f"{key}={labels[key]}" for key in sorted(labels)),
        Label=lambda name: labels.get(name, ""),
        Mounts=",".join(_mount(mount, short) for mount in mounts),
        LocalVolumes=str(sum(mount.get("Driver") == "local" for mount in mounts)),
        Networks=",".join(sorted((container.get("NetworkSettings") or {}).get("Networks") or {})),
        Platform=None,
    )


def _image(container: Json, short: bool) -> str:
    image: str = container["Image"]
    if not image:
        return "<no image>"
    if not short:
        return image
    whole = image.removeprefix("sha256:")
    return (
        short_id(image)
        if len(whole) == 64 and set(whole) <= set("0123456789abcdef")
        else image.partition("@")[0]
    )


def _names(names: Iterable[str], short: bool) -> str:
    """Without the leading slash; names with another one are links, shown on request only."""
    bare = [name.removeprefix("/") for name in names]
    return ",".join(name for name in bare if not short or "/" not in name)


def _size(container: Json) -> str:
    own, whole = container.get("SizeRw") or 0, container.get("SizeRootFs") or 0
    return human_size(own) + (f" (virtual {human_size(whole)})" if whole else "")


def _mount(mount: Json, short: bool) -> str:
    name: str = mount.get("Name") or mount.get("Source", "")
    return shortened(name, MOUNT_WIDTH) if short else name


def ports_text(ports: Sequence[Json]) -> str:
    """``0.0.0.0:8080->80/tcp, 9000-9002/tcp``: runs of ports that map to the same numbers are one entry."""
    runs: list[tuple[tuple[str, str], int, int]] = []
    last_of: dict[tuple[str, str], int] = {}
    moved = []
    for port in sorted(ports, key=_port_order):
        inside, address = port["PrivatePort"], port.get("IP", "")
        if address and port.get("PublicPort") != inside:
            moved.append(f"{_host(address)}:{port['PublicPort']}->{inside}/{port['Type']}")
            continue
        key = (address, port["Type"])
        at = last_of.get(key)
        if at is not None and runs[at][2] + 1 == inside:
            runs[at] = (key, runs[at][1], inside)
        else:
            last_of[key] = len(runs)
            runs.append((key, inside, inside))
    ended = [n for n in range(len(runs)) if n not in last_of.values()]
    order = [*ended, *last_of.values()]
    return ", ".join([*(_run_text(*runs[n]) for n in order), *moved])


def _port_order(port: Json) -> tuple[int, str, int, str]:
    return port["PrivatePort"], port.get("IP", ""), port.get("PublicPort", 0), port["Type"]


def _run_text(key: tuple[str, str], first: int, last: int) -> str:
    address, protocol = key
    run = str(first) if first == last else f"{first}-{last}"
    return f"{_host(address)}:{run}->{run}/{protocol}" if address else f"{run}/{protocol}"


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address
