"""Names and ids of containers."""

from __future__ import annotations

import re
import secrets

from wherry.errors import InvalidArgument

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")

ADJECTIVES = (
    "ample able bold brisk calm clear deft eager early fair fast firm fleet fond frank fresh glad "
    "grand hale handy hardy keen kind light lively lucid merry mild neat nimble noble plucky prime "
    "proud quick quiet ready serene sharp sleek smart snug solid sound spry stout sunny sure swift "
    "tidy trim true vivid warm wise"
)
# Boats and the people who work them.
NOUNS = (
    "barge bark boatman bosun brig canoe caravel clipper cog coracle cutter dhow dinghy dory ferry "
    "ferryman felucca frigate galley gig gondola helmsman hoy junk kayak keel ketch launch lighter "
    "lugger mate mooring oar oarsman packet pilot pinnace pontoon punt quay raft rudder sail sampan "
    "schooner scow scull shallop skiff skipper sloop smack steersman tender tiller trawler tug "
    "wherryman yawl"
)


def new_id() -> str:
    """64 hexadecimal digits."""
    return secrets.token_hex(32)


def random_name() -> str:
    """An adjective and a noun, as Docker names containers; it may be taken."""
    return f"{secrets.choice(ADJECTIVES.split())}_{secrets.choice(NOUNS.split())}"


def check_name(name: str) -> str:
    """The name without its slash; InvalidArgument where it is not one."""
    plain = name.removeprefix("/")
    if not NAME.fullmatch(plain):
        raise InvalidArgument(f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
    return plain
