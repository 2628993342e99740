"""Sockets, signals and JSON as the interpreter has them, without the modules around them.

``socket`` and ``signal`` make enums of their constants and ``json`` compiles regular expressions: 3 to 6 ms each, which
every command would pay before it does anything. What does the work is beneath them, in C, and is taken here and nowhere
else. Where an interpreter has it not, the modules themselves serve.
"""

from __future__ import annotations

__all__ = [
    "AF_UNIX",
    "MSG_DONTWAIT",
    "MSG_NOSIGNAL",
    "MSG_PEEK",
    "SHUT_WR",
    "SOCK_STREAM",
    "Socket",
    "make_scanner",
    "quoted",
    "quoted_unicode",
    "set_signal",
    "set_wakeup_fd",
]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from signal import set_wakeup_fd
    from signal import signal as set_signal
    from socket import AF_UNIX, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_PEEK, SHUT_WR, SOCK_STREAM
    from socket import socket as Socket
    from typing import Any

    make_scanner: Callable[[object], Callable[[str, int], tuple[Any, int]]]
    quoted: Callable[[str], str]
    quoted_unicode: Callable[[str], str]
else:
    try:
        from _json import encode_basestring as quoted_unicode
        from _json import encode_basestring_ascii as quoted
        from _json import make_scanner
        from _signal import set_wakeup_fd
        from _signal import signal as set_signal
        from _socket import AF_UNIX, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_PEEK, SHUT_WR, SOCK_STREAM
        from _socket import socket as Socket
    except ImportError:
        from json import JSONDecoder
        from json.encoder import encode_basestring as quoted_unicode
        from json.encoder import encode_basestring_ascii as quoted
        from signal import set_wakeup_fd
        from signal import signal as set_signal
        from socket import AF_UNIX, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_PEEK, SHUT_WR, SOCK_STREAM
        from socket import socket as Socket

        def make_scanner(settings):
            return JSONDecoder().scan_once
