"""Classic BPF as seccomp filters are written in it. Linux uapi/linux/filter.h, uapi/linux/seccomp.h; seccomp(2)."""

from __future__ import annotations

import struct

LINE = struct.Struct("<HBBI")  # struct sock_filter: code, jump if true, jump if false, value

LOAD = 0x20  # a word of struct seccomp_data
AND = 0x54
JUMP = 0x05
EQUAL, GREATER, AT_LEAST, ANY_BIT = 0x15, 0x25, 0x35, 0x45  # jumps by the loaded word
RETURN = 0x06

NUMBER, MACHINE = 0, 4  # offsets in struct seccomp_data; what is behind them are pointer and arguments
