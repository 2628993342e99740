"""The Docker Engine API over HTTP. Knows requests and answers, and nothing of the kernel.

aiohttp's package file imports its client, which loads the machine's certificates before anybody asks: 50 ms and
4.5 MB that a daemon on a unix socket has no use for. So the package is entered without running that file, until
somebody in this process wants what only the file has, such as ``aiohttp.ClientSession``.
"""

from __future__ import annotations

from wherry.api.light_package import enter_lightly

enter_lightly("aiohttp")
