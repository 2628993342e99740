"""The one error tree. Each face maps it once: HTTP status in ``api/errors.py``, exit codes in ``cli``.

    WherryError
    ├── InvalidArgument   the request itself is wrong                          400
    ├── NotFound          what it names does not exist                         404
    ├── Conflict          it clashes with the present state                    409
    ├── NotModified       it is already so                                     304
    ├── Denied            policy or the kernel's permissions forbid it         403
    ├── Unavailable       a needed service or resource is not there for now    503
    ├── LaunchFailed      a step of a container's plan failed                  400 / 500
    └── Internal          the host or the engine failed                        500

The text is what a user reads: what was wanted, what stood in the way and, where known, what to do.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False  # as typing has it, without its import: the command line imports this module
if TYPE_CHECKING:
    from types import TracebackType


class WherryError(Exception):
    """Base of everything that Wherry raises on purpose."""

    @property
    def message(self) -> str:
        """The sentence for the user."""
        return str(self.args[0]) if self.args else type(self).__name__


class InvalidArgument(WherryError, ValueError):
    """The request is malformed or asks for something that cannot be."""


class NotFound(WherryError):
    """No such container, image, network, exec or file."""


class Conflict(WherryError):
    """The request clashes with the state of things, such as a name in use."""


class NotModified(WherryError):
    """The thing is already in the state that was asked for."""


class Denied(WherryError):
    """A policy, or the kernel, does not allow it."""


class Unavailable(WherryError):
    """A service or resource that is needed is not there for now."""


class LaunchFailed(WherryError):
    """A step of the plan failed in the launcher.

    ``step`` is its index in the plan, ``errno`` the kernel's word, ``name`` the step's name;
    ``exit_code`` is 126 or 127 where the command could not be run, else 128 (as Docker records it). ``asked``: what
    the kernel refused is a value of the request's.
    """

    def __init__(
        self,
        message: str,
        *,
        step: int = -1,
        name: str = "",
        errno: int = 0,
        exit_code: int = 128,
        asked: bool = False,
    ) -> None:
        super().__init__(message)
        self.step, self.name, self.errno, self.exit_code, self.asked = step, name, errno, exit_code, asked


class Internal(WherryError):
    """The host or the engine failed in a way that the caller cannot mend."""


def sentence(error: OSError) -> str:
    """What the kernel said, and of what: ``no space left on device: /var/lib/wherry``; of a link or a rename, both."""
    reason = error.strerror or (os.strerror(error.errno) if error.errno else str(error) or "it failed")
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    return ": ".join([reason[:1].lower() + reason[1:], *filter(None, [" -> ".join(names)])])


class wanting:
    """Within, a failure of the host's becomes an error of ours: what was wanted, and what stood in the way.

    ``what`` is a verb with its object. Errors of ours pass as they are.
    """

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, OSError):
            raise Internal(f"cannot {self._what}: {sentence(error)}") from error
