"""All commands: their names, where each lives, and its summary. A command's module is imported only when it is used."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from wherry.cli.command import Command


class Entry:
    """One command: ``names`` are all the ways to call it, the group's first; ``place`` is ``module:declaration``."""

    def __init__(self, names: tuple[str, ...], place: str, summary: str) -> None:
        self.names, self.place, self.summary = names, place, summary

    def load(self) -> Command:
        """The declared command; its module is imported now."""
        module, _, name = self.place.partition(":")
        declared: Command = getattr(__import__(f"wherry.cli.{module}", fromlist=[name]), name)
        return declared


def _entry(names: str, place: str, summary: str) -> Entry:
    return Entry(tuple(name.strip() for name in names.split(",")), place, summary)


GROUPS = {
    "container": "Manage containers",
    "image": "Manage images",
    "plan": "Show and compare plans: what a container's start does, and why",
    "system": "Manage Wherry",
}

COMMANDS = (
    _entry("container run, run", "run:run", "Create and run a new container from an image"),
    _entry("container exec, exec", "exec:execute", "Execute a command in a running container"),
    _entry("container ls, container list, container ps, ps", "container_list:ls", "List containers"),
    _entry("image ls, image list, images", "image_list:ls", "List images"),
    _entry("image pull, pull", "image:pull", "Download an image from a registry (not supported yet)"),
    _entry("version", "version:version", "Show the Wherry version information"),
    _entry("system info, info", "info:info", "Display system-wide information"),
    _entry(
        "container attach, attach",
        "attach:attach",
        "Attach local standard input, output, and error streams to a running container",
    ),
    _entry("completion", "completion:completion", "Print the completion script of a shell"),
    _entry("container create, create", "run:create", "Create a new container"),
    _entry("system events, events", "events:events", "Get real time events from the server"),
    _entry(
        "container explain, explain", "explain:explain", "Show what the kernel holds for a container, and why"
    ),
    _entry("image history, history", "image_list:history", "Show the history of an image"),
    _entry(
        "image import, import",
        "image:import_",
        "Import the contents from a tarball to create a filesystem image",
    ),
    _entry("inspect", "inspect:inspect", "Return low-level information on containers, images and networks"),
    _entry(
        "container inspect",
        "inspect:inspect_container",
        "Display detailed information on one or more containers",
    ),
    _entry("image inspect", "inspect:inspect_image", "Display detailed information on one or more images"),
    _entry("container kill, kill", "container:kill", "Kill one or more running containers"),
    _entry("image load, load", "image:load", "Load an image from a tar archive or STDIN"),
    _entry("container logs, logs", "logs:logs", "Fetch the logs of a container"),
    _entry(
        "container port, port", "container:port", "List port mappings or a specific mapping for the container"
    ),
    _entry(
        "plan diff",
        "plan:diff",
        "Show how two plans differ: of containers, or of options that end in an image",
    ),
    _entry("plan show", "plan:show", "Show the plan of a container: every step of its start, with its cause"),
    _entry("container rename, rename", "container:rename", "Rename a container"),
    _entry("container restart, restart", "container:restart", "Restart one or more containers"),
    _entry("container rm, container remove, rm", "container:rm", "Remove one or more containers"),
    _entry("image rm, image remove, rmi", "image:rm", "Remove one or more images"),
    _entry("container start, start", "start:start", "Start one or more stopped containers"),
    _entry("container stop, stop", "container:stop", "Stop one or more running containers"),
    _entry("image tag, tag", "image:tag", "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE"),
    _entry("container top, top", "container:top", "Display the running processes of a container"),
    _entry(
        "container wait, wait",
        "container:wait",
        "Block until one or more containers stop, then print their exit codes",
    ),
)

ASKED_BY_SHELLS = _entry("__complete", "completion:complete", "What can follow on a command line")

COMMON = ("run", "exec", "ps", "images", "pull", "version", "info")


def find(words: Sequence[str]) -> tuple[Entry, str, int] | None:
    """The entry that the words name, its name as called, and how many words the name took."""
    for count in (2, 1):
        called = " ".join(words[:count])
        for entry in (*COMMANDS, ASKED_BY_SHELLS):
            if called in entry.names:
                return entry, called, count
    return None


def names(group: str) -> list[str]:
    """All that may follow the group's name (empty: the program's): commands under every name, and groups."""
    called = [name for entry in COMMANDS for name in entry.names]
    if group:
        return [name.removeprefix(f"{group} ") for name in called if name.startswith(f"{group} ")]
    return [*(name for name in called if " " not in name), *GROUPS]


def members(group: str) -> list[tuple[str, str]]:
    """The commands of a group (empty: the top) by their main name there, with summaries, sorted."""
    rows = []
    for entry in COMMANDS:
        if group:
            names = [name.split(" ", 1)[1] for name in entry.names if name.startswith(f"{group} ")]
        else:
            names = [name for name in entry.names if " " not in name]
        if names:
            rows.append((names[0], entry.summary))
    return sorted(rows)
