"""What becomes of every parameter of every route. See ``fates``."""

from __future__ import annotations

from collections.abc import Mapping

from wherry.engine.fate import Fate, Kind, done, echoed

Fates = Mapping[str, Fate]

REFERENCE = "/containers/{ref}"
PARAMETERS: Mapping[str, Fates] = {
    "POST /containers/create": {
        "name": done(),
        "platform": done(),
        "dry_run": done("Wherry's own: the plan"),
    },
    "GET /containers/json": {"all": done(), "limit": done(), "size": done(), "filters": done()},
    f"GET {REFERENCE}/json": {"size": done()},
    f"POST {REFERENCE}/start": {"detach_keys": echoed("`attach` has its own; Docker ignores this one, too")},
    f"POST {REFERENCE}/stop": {"t": done(), "signal": done()},
    f"POST {REFERENCE}/restart": {"t": done(), "signal": done()},
    f"POST {REFERENCE}/kill": {"signal": done()},
    f"DELETE {REFERENCE}": {
        "force": done(),
        "v": echoed("a container has no volumes that could go with it"),
        "link": Fate(
            Kind.REFUSED, "by 500, as Docker does where there is no such link; the container is kept"
        ),
    },
    f"POST {REFERENCE}/rename": {"name": done()},
    f"POST {REFERENCE}/resize": {"rows": done(), "columns": done()},
    f"GET {REFERENCE}/top": {"ps_arguments": done()},
    f"POST {REFERENCE}/wait": {"condition": done()},
    f"GET {REFERENCE}/logs": {
        "stdout": done(),
        "stderr": done(),
        "follow": done(),
        "timestamps": done(),
        "details": done("of the log options `tag`, `labels` and `env`"),
        "tail": done(),
        "since": done(),
        "until": done(),
    },
    f"POST {REFERENCE}/attach": {
        "stream": done(),
        "stdin": done(),
        "stdout": done(),
        "stderr": done(),
        "logs": done(),
        "detach_keys": done(),
    },
    f"GET {REFERENCE}/explain": {"check": done(), "filter": done()},
    "GET /explain": {"check": done(), "all": done(), "containers": done()},
    "POST /exec/{id}/resize": {"rows": done(), "columns": done()},
    "GET /images/json": {"all": done(), "filters": done()},
    "GET /images/{name}/json": {"platform": done("from API 1.49")},
    "GET /images/{name}/history": {"platform": done("from API 1.48")},
    "POST /images/{name}/tag": {"repo": done(), "tag": done()},
    "DELETE /images/{name}": {
        "force": done(),
        "noprune": echoed("it spares the images that one was built from, and none has been built here"),
        "platforms": done("from API 1.50; of an image for another platform nothing is removed"),
    },
    "POST /images/load": {"quiet": done(), "platform": done("from API 1.48")},
    "POST /images/create": {
        "from_image": Fate(Kind.REFUSED, "by 501: there is no registry client yet"),
        "from_src": done("`-`, the body"),
        "repo": done(),
        "tag": done(),
        "message": done(),
        "changes": done(),
        "platform": done(),
    },
    "GET /events": {"since": done(), "until": done(), "filters": done()},
    "GET /networks": {"filters": done()},
    "GET /networks/": {"filters": done()},
    "GET /networks/{ref}": {"scope": done(), "verbose": echoed("concerns swarms")},
    "GET /volumes": {"filters": done("checked; there are no volumes")},
}


def parameter_fate(route: str, name: str) -> Fate | None:
    """The fate of ``METHOD PATTERN``'s parameter; None where nobody has thought of it."""
    return PARAMETERS.get(route, {}).get(name)
