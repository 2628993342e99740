"""aiohttp beside the API: light until it is wanted whole, and then as if it had been imported the usual way.

Each in a process of its own, as it is the process that is changed.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

ASK = """
    import asyncio, socket
    import wherry.api.app
    {first}
    from aiohttp.web_server import Server
    from aiohttp.web_response import Response

    async def answer(request):
        return Response(text=f"{{request.method}} {{await request.text()}}")

    async def main():
        server = await asyncio.get_running_loop().create_server(Server(answer), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        {use}
            async with session.post(f"http://127.0.0.1:{{port}}/", data="hello") as reply:
                print(reply.status, await reply.text())
        server.close()

    asyncio.run(main())
"""


def python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={"PYTHONPATH": str(ROOT / "src")}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("first", "use"),
    [
        ("import aiohttp", "async with aiohttp.ClientSession() as session:"),
        ("from aiohttp import ClientSession", "async with ClientSession() as session:"),
        ("import aiohttp.client", "async with aiohttp.client.ClientSession() as session:"),
        ("from aiohttp import *", "async with ClientSession() as session:"),
    ],
)
def test_the_client_works_beside_the_api(first: str, use: str) -> None:
    assert python(ASK.format(first=first, use=use)) == "200 POST hello\n"


def test_the_whole_package_is_the_same_as_without_the_api() -> None:
    names = "import aiohttp; aiohttp.ClientSession; print(sorted(aiohttp.__all__), aiohttp.__version__)"
    whole = "print({n for n in dir(aiohttp) if not n.startswith('_')} >= set(aiohttp.__all__))"
    assert python(f"import wherry.api.app; {names}; {whole}") == python(f"{names}; {whole}")


def test_nothing_is_there_twice() -> None:
    said = python("""
        import wherry.api.app
        from aiohttp.web_response import Response
        before = sys.modules["aiohttp"] if (sys := __import__("sys")) else None
        import aiohttp
        from aiohttp import web, hdrs
        aiohttp.ClientSession
        print(before is aiohttp, web.Response is Response, aiohttp.client.ClientSession is aiohttp.ClientSession)
        """)
    assert said == "True True True\n"


def test_what_is_not_there_is_still_missed() -> None:
    said = python("""
        import wherry.api, aiohttp
        for name in ("__wrapped__", "nothing_of_this_name"):
            try:
                getattr(aiohttp, name)
            except AttributeError:
                print(name)
        """)
    assert said.split() == ["__wrapped__", "nothing_of_this_name"]


def test_the_daemon_does_without_the_client() -> None:
    said = python("""
        import sys, wherry.daemon
        print([name for name in ("aiohttp.client", "aiohttp.connector") if name in sys.modules])
        """)
    assert said == "[]\n"
