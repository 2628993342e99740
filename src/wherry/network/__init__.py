"""How containers reach each other and the world.

``host`` has what there is once for a host: firewall, published ports, tracked connections. ``driver`` says what one
network is, and ``drivers`` has each kind of it. They do not know one another: who attaches a container asks both.
"""
