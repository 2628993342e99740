"""Seeing to it that our firewall table stays whole, whatever others do to nftables."""

from __future__ import annotations

import asyncio
import logging

from wherry.errors import WherryError
from wherry.network.host import HostNetwork

log = logging.getLogger(__name__)


class FirewallWatch:
    """Checks the table whenever somebody changed nftables: at most one check at a time, and one after it."""

    def __init__(self, host: HostNetwork) -> None:
        self._host = host
        self._repair: asyncio.Task[None] | None = None
        asyncio.get_running_loop().add_reader(host.watch.fileno(), self._tables_changed)

    async def stop(self) -> None:
        """Watch no more. The last check ends first."""
        asyncio.get_running_loop().remove_reader(self._host.watch.fileno())
        if self._repair is not None:
            await asyncio.gather(self._repair, return_exceptions=True)

    def _tables_changed(self) -> None:
        self._host.watch.drain()
        if self._repair is None or self._repair.done():
            self._repair = asyncio.create_task(self._check_table())

    async def _check_table(self) -> None:
        try:
            if await asyncio.to_thread(self._host.ensure):
                log.warning("the firewall's table was lost or damaged; it is restored")
        except (OSError, WherryError) as error:
            log.error("cannot restore the firewall's table: %s", error)
