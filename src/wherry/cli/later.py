"""Docker's verbs that are not here yet, and what does instead. Looked at only when no command has such a name."""

from __future__ import annotations

from wherry.cli.command import NOT_YET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

NO_BUILDS = "build the image with another tool, then load it: wherry load -i image.tar"
NO_REGISTRY = "Wherry does not talk to registries; images come in with 'wherry load' and 'wherry import'"
NO_NETWORKS = "the networks are bridge, host and none"
NO_VOLUMES = "bind a directory of the host instead: -v /srv/data:/data"
NO_SWARM = "Wherry runs containers on one machine"
NO_FREEZER = "'wherry stop' ends it, and 'wherry start' starts it again"

# By the name of a group, or of a command as it may be called; the names of one command together.
SAID = {
    "builder": NO_BUILDS,
    "buildx": NO_BUILDS,
    "checkpoint": "",
    "compose": "",
    "config": NO_SWARM,
    "container commit, commit": "",
    "container cp, cp": "'wherry exec CONTAINER cat FILE' prints a file of it",
    "container diff, diff": "",
    "container export, export": "",
    "container pause, pause": NO_FREEZER,
    "container prune": "'wherry rm $(wherry ps -aq -f status=exited)' removes those that have ended",
    "container stats, stats": "'wherry explain CONTAINER' shows limits and use",
    "container unpause, unpause": NO_FREEZER,
    "container update, update": "remove the container and run it again with other limits",
    "context": "name the engine with -H or $WHERRY_HOST",
    "image build, build": NO_BUILDS,
    "image prune": "'wherry rmi $(wherry images -q -f dangling=true)' removes those without a name",
    "image push, push": NO_REGISTRY,
    "image save, save": "",
    "login": NO_REGISTRY,
    "logout": NO_REGISTRY,
    "manifest": NO_REGISTRY,
    "network": NO_NETWORKS,
    "node": NO_SWARM,
    "plugin": "",
    "search": NO_REGISTRY,
    "secret": NO_SWARM,
    "service": NO_SWARM,
    "stack": NO_SWARM,
    "swarm": NO_SWARM,
    "system df": "",
    "system dial-stdio": "",
    "system prune": "",
    "trust": "",
    "volume": NO_VOLUMES,
}
LATER = {name: instead for names, instead in SAID.items() for name in names.split(", ")}


def refusal(words: Sequence[str]) -> str | None:
    """What to say to a command of Docker's that is not here; None where it is none of Docker's."""
    for count in (2, 1):
        called = " ".join(words[:count])
        if called in LATER:
            instead = LATER[called]
            return f"'wherry {called}' is {NOT_YET}" + (f": {instead}" if instead else "")
    return None
