"""Networks of veth pairs that are plugged into a bridge of the host."""

KIND = "bridge"
DEFAULT_NETWORK = "bridge"  # the network that is there from the start
