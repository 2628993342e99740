"""Which kinds of networks there are, and which networks are there from the start."""

from __future__ import annotations

from wherry.network.driver import NetworkDriver
from wherry.network.drivers import bridge, host, none
from wherry.network.drivers.bridge.driver import BridgeDriver
from wherry.network.drivers.host import HostDriver
from wherry.network.drivers.none import NoneDriver

DRIVERS: dict[str, type[NetworkDriver]] = {
    bridge.KIND: BridgeDriver,
    host.KIND: HostDriver,
    none.KIND: NoneDriver,
}
DEFAULT_NETWORK = bridge.DEFAULT_NETWORK  # of a container that asks for none
NO_NETWORK = "none"
PREDEFINED = {DEFAULT_NETWORK: bridge.KIND, "host": host.KIND, NO_NETWORK: none.KIND}  # names and drivers
