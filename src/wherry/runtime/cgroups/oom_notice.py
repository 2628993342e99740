"""Word from the kernel that a cgroup has run out of memory. Version 1 only; Linux, cgroup-v1/memory.rst "OOM Control".

It comes also where the kernel kills nobody (``--oom-kill-disable``): the processes then wait for memory, and no counter
says so.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass

OOM_CONTROL, EVENT_CONTROL = "memory.oom_control", "cgroup.event_control"


@dataclass(slots=True)
class OomNotice:
    """An eventfd(2), which can be read when there is word, and the file that it is about."""

    event: int
    control: int

    @classmethod
    def of(cls, directory: str) -> OomNotice:
        """Ask for word of a cgroup; if it is out of memory now, there is word at once. OSError."""
        control = os.open(f"{directory}/{OOM_CONTROL}", os.O_RDONLY | os.O_CLOEXEC)
        event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        notice = cls(event, control)
        try:
            with open(f"{directory}/{EVENT_CONTROL}", "w") as file:
                file.write(f"{event} {control}")
        except OSError:
            notice.close()
            raise
        return notice

    def struck(self) -> bool:
        """Whether what has come is word of that. It comes also when the cgroup is removed."""
        with suppress(BlockingIOError):
            os.eventfd_read(self.event)
        try:
            return bool(os.pread(self.control, 1, 0))
        except OSError:
            return False

    def close(self) -> None:
        """Want no more word."""
        os.close(self.event)
        os.close(self.control)
