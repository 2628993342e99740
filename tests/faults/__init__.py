"""The Nth operation fails: system calls, netlink messages and writes of a real daemon, one at a time."""
