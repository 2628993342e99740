"""Whose a parent of containers is: one engine's at a time, by an attribute of its directory that names the process.

flock(2) on the directory would be simpler, but whoever can open it may hold that, also a container with the host's
cgroup namespace. A trusted attribute takes CAP_SYS_ADMIN on the host; it is there for every mount of the hierarchy and
every network namespace; and once its process has ended it counts no more. xattr(7)
"""

from __future__ import annotations

import errno
import logging
import os

from wherry.errors import Unavailable
from wherry.linux.kernel_file import read
from wherry.linux.procfs import ENDED, numbers_of

ATTRIBUTE = "trusted.wherry.engine"
UNHEARD_OF = (errno.EOPNOTSUPP, errno.EPERM)  # a kernel, or a user namespace, that has no such attributes

log = logging.getLogger(__name__)


class ParentClaim:
    """This process's claim of a parent cgroup, which is called ``name`` and is at ``directory``."""

    def __init__(self, name: str, directory: str) -> None:
        self._name, self._directory = name, directory
        self._own = process_mark(os.getpid())

    def take(self) -> None:
        """Claim it, also again. Unavailable where another engine has it; FileNotFoundError without the directory."""
        holder = self._holder()
        if holder == self._own:
            return
        if holder is not None and lives(holder):
            raise Unavailable(
                f"another engine uses the parent cgroup {self._name}: stop it, or choose another --cgroup-parent"
            )
        try:
            if holder is not None:
                os.removexattr(self._directory, ATTRIBUTE)
            os.setxattr(self._directory, ATTRIBUTE, self._own, os.XATTR_CREATE)
        except FileExistsError:  # another one that starts at this moment
            self.take()
        except OSError as error:
            if error.errno not in UNHEARD_OF:
                raise
            log.debug("nothing keeps another engine from the parent cgroup %s: %s", self._name, error)

    def give_up(self) -> bool:
        """Whether it was this process's; from now on it is nobody's."""
        try:
            if self._holder() != self._own:
                return False
            os.removexattr(self._directory, ATTRIBUTE)
        except FileNotFoundError:
            return False
        return True

    def _holder(self) -> bytes | None:
        try:
            return os.getxattr(self._directory, ATTRIBUTE)
        except OSError as error:
            if error.errno in (errno.ENODATA, *UNHEARD_OF):
                return None
            raise


def process_mark(pid: int) -> bytes:
    """A process's number and the time of its start: no other one has both until the machine starts again.

    FileNotFoundError, ProcessLookupError where there is none, or none any more: one that has ended and that nobody has
    collected yet does nothing. proc_pid_stat(5)
    """
    numbers = numbers_of(read(f"/proc/{pid}/stat"))
    if numbers[0] in ENDED:
        raise ProcessLookupError(errno.ESRCH, "it has ended", str(pid))
    return f"{pid} {numbers[19]}".encode()


def lives(mark: bytes) -> bool:
    """Whether the process of a mark is still there."""
    try:
        return process_mark(int(mark.partition(b" ")[0])) == mark
    except (OSError, ValueError):
        return False
