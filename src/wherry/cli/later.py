"""Docker's verbs that are not here yet, and what does instead. Looked at only when no command has such a name."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

NO_BUILDS = "build the image with another tool, then load it: wherry load -i image.tar"
NO_REGISTRY = "Wherry talks to no registry; images come in by 'wherry load' and 'wherry import'"
NO_NETWORKS = "the networks are bridge, host and none"
NO_VOLUMES = "bind a directory of the host instead: -v /srv/data:/data"
NO_SWARM = "Wherry runs containers on one machine"
NO_FREEZER = "'wherry stop' and 'wherry start' end it and begin again"

# By the name of a group, or of a command as it may be called.
LATER = {
    "build": NO_BUILDS,
    "builder": NO_BUILDS,
    "buildx": NO_BUILDS,
    "checkpoint": "",
    "commit": "",
    "compose": "",
    "config": NO_SWARM,
    "container commit": "",
    "container cp": "'wherry exec CONTAINER cat FILE' gets a file out",
    "container diff": "",
    "container export": "",
    "container pause": NO_FREEZER,
    "container prune": "'wherry rm $(wherry ps -aq -f status=exited)' removes those that have ended",
    "container stats": "'wherry explain CONTAINER' shows limits and use",
    "container unpause": NO_FREEZER,
    "container update": "remove the container and run it again with other limits",
    "context": "name the engine with -H or $WHERRY_HOST",
    "cp": "'wherry exec CONTAINER cat FILE' gets a file out",
    "diff": "",
    "export": "",
    "image build": NO_BUILDS,
    "image prune": "'wherry rmi $(wherry images -q -f dangling=true)' removes those without a name",
    "image push": NO_REGISTRY,
    "image save": "",
    "login": NO_REGISTRY,
    "logout": NO_REGISTRY,
    "manifest": NO_REGISTRY,
    "network": NO_NETWORKS,
    "node": NO_SWARM,
    "pause": NO_FREEZER,
    "plugin": "",
    "push": NO_REGISTRY,
    "save": "",
    "search": NO_REGISTRY,
    "secret": NO_SWARM,
    "service": NO_SWARM,
    "stack": NO_SWARM,
    "stats": "'wherry explain CONTAINER' shows limits and use",
    "swarm": NO_SWARM,
    "system df": "",
    "system dial-stdio": "",
    "system prune": "",
    "trust": "",
    "unpause": NO_FREEZER,
    "update": "remove the container and run it again with other limits",
    "volume": NO_VOLUMES,
}


def refusal(words: Sequence[str]) -> str | None:
    """What to say to a command of Docker's that is not here; None where it is none of Docker's."""
    for count in (2, 1):
        called = " ".join(words[:count])
        if called in LATER:
            instead = LATER[called]
            return f"'wherry {called}' is not supported yet" + (f": {instead}" if instead else "")
    return None
