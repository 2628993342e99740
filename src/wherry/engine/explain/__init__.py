"""A container explained: what the kernel holds for it, and where that is not what was planned."""
