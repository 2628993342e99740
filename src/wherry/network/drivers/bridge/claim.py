"""Who has a bridge: one engine at a time, by an nftables table that belongs to a socket of its process.

The kernel keeps such a table from everybody else, `nft flush ruleset` included, and takes it away with the socket,
however the process ends. It belongs to the network namespace, as the bridge does, and whoever may make one could as
well delete the bridge; a container in the host's network namespace may not.
"""

from __future__ import annotations

import re

from wherry.errors import Unavailable
from wherry.linux.nftables import OwnedTable, Tables


def claim_bridge(name: str) -> OwnedTable:
    """Claim a bridge of this network namespace until the table is closed. Unavailable if an engine has it."""
    table = "wherry_has_" + re.sub(r"\W", "_", name)
    try:
        return OwnedTable(table)
    except PermissionError:
        if not is_there(table):
            raise
        raise Unavailable(
            f"cannot use bridge {name}: another engine uses it; choose another --bridge"
        ) from None


def is_there(table: str) -> bool:
    tables = Tables()
    try:
        return tables.comment(table) is not None
    finally:
        tables.close()
