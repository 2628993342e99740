"""``events``."""

from __future__ import annotations

from wherry.cli.command import Context, Options, command, text
from wherry.cli.logs import moment
from wherry.cli.output import filter_query, filters, object_format, print_object
from wherry.values.quoting import visible
from wherry.values.times import local_nanoseconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Json = dict[str, Any]

EVENTS_FLAGS = (
    filters(),
    object_format(short=""),
    text("since", "", "Show all events created since timestamp"),
    text("until", "", "Stream events until this timestamp"),
)


@command("[OPTIONS]", EVENTS_FLAGS, most=0)
def events(context: Context, options: Options) -> int:
    """Print events as they come, until ``--until`` or the end of the engine."""
    query = {
        "since": moment(options.since),
        "until": moment(options.until),
        "filters": filter_query(options.filter),
    }
    response = context.client.request("GET", "/events", query)
    for event in response.objects():
        _show(event, options.format)
    return 0


def _show(event: Json, format: str) -> None:
    if not format:
        print(visible(line(event)), flush=True)
        return
    seen = event if format == "json" else _fields(event)
    print_object(seen, format)
    print(end="", flush=True)


def _fields(event: Json) -> Json:
    """The event under the names that Docker's templates use."""
    names = {
        "status": "Status",
        "id": "ID",
        "from": "From",
        "scope": "Scope",
        "time": "Time",
        "timeNano": "TimeNano",
    }
    empty = {"Status": "", "ID": "", "From": ""}
    return {**empty, **{names.get(key, key): given for key, given in event.items()}}


def line(event: Json) -> str:
    """``TIME TYPE ACTION ID (name=value, …)``"""
    actor = event.get("Actor") or {}
    attributes = actor.get("Attributes") or {}
    text = f"{local_nanoseconds(event['timeNano'])} {event['Type']} {event['Action']} {actor.get('ID', '')}"
    listed = ", ".join(f"{key}={attributes[key]}" for key in sorted(attributes))
    return f"{text} ({listed})" if listed else text
