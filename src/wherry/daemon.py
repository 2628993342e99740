"""``wherryd``: the engine behind its HTTP API, as a daemon."""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import gc
import logging
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from wherry import __version__
from wherry.api.activity import Activity
from wherry.api.app import create_app, serve
from wherry.api.tls import Tcp, TlsOptions
from wherry.engine.config import EngineConfig
from wherry.engine.engine import Engine
from wherry.engine.request import check_defaults
from wherry.errors import Denied, InvalidArgument, Unavailable, WherryError
from wherry.linux import heap
from wherry.messages.container import Ulimit
from wherry.values.durations import SECOND, parse_duration
from wherry.values.quoting import visible, visible_lines
from wherry.values.words import boolean

DEFAULT_FILE = Path("/etc/wherry/daemon.json")
DEFAULT_HOST = "unix:///run/wherry/wherry.sock"

log = logging.getLogger("wherryd")


class DaemonFile(msgspec.Struct, rename="kebab", forbid_unknown_fields=True):
    """Keys of ``daemon.json`` that wherryd knows; they are dockerd's."""

    hosts: list[str] | None = None
    data_root: str | None = None
    exec_root: str | None = None
    bip: str | None = None
    bridge: str | None = None
    dns: list[str] | None = None
    dns_search: list[str] | None = None
    debug: bool | None = None
    log_level: str | None = None
    log_driver: str | None = None
    log_opts: dict[str, str] | None = None
    default_shm_size: int | None = None
    cgroup_parent: str | None = None
    no_new_privileges: bool | None = None
    init: bool | None = None
    tls: bool | None = None
    tlsverify: bool | None = None
    tlscacert: str | None = None
    tlscert: str | None = None
    tlskey: str | None = None


def truth(text: str) -> bool:
    """The value of an option that may be false."""
    try:
        return boolean(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false") from None


# An option that is true by being there, or says itself which it is: --tls, --tls=false.
FLAG: dict[str, Any] = {"nargs": "?", "const": True, "type": truth, "metavar": "BOOL"}


def parser() -> argparse.ArgumentParser:
    """wherryd's options; where dockerd has one, under its name."""
    p = argparse.ArgumentParser(prog="wherryd", description="The Wherry container engine.")
    p.add_argument("-H", "--host", action="append", dest="hosts", metavar="ADDRESS",
                   help=f"unix://PATH, or tcp://IP:PORT with --tlsverify (default {DEFAULT_HOST})")  # fmt: skip
    p.add_argument(
        "--tlsverify", **FLAG, help="on TCP: TLS, for clients with a certificate signed by --tlscacert"
    )
    p.add_argument("--tls", **FLAG, help="on TCP: --tls=false serves anybody, without encryption")
    p.add_argument(
        "--tlscacert",
        metavar="FILE",
        help="certificate of the authority that signs the clients' (default ca.pem)",
    )
    p.add_argument("--tlscert", metavar="FILE", help="the daemon's own certificate (default cert.pem)")
    p.add_argument("--tlskey", metavar="FILE",
                   help="its key (default key.pem; all three in $DOCKER_CERT_PATH, or else ~/.docker)")  # fmt: skip
    p.add_argument("--config-file", type=Path,
                   help=f"configuration file, with dockerd's keys (default {DEFAULT_FILE})")  # fmt: skip
    p.add_argument("--data-root", help="images, layers, writable directories (default /var/lib/wherry)")
    p.add_argument("--exec-root", help="sockets and state of running containers (default /run/wherry)")
    p.add_argument("-b", "--bridge", help="name of the default bridge (default wherry0)")
    p.add_argument("--bip", help="address of the default bridge, such as 172.17.0.1/16")
    p.add_argument("--dns", action="append", help="name server for containers")
    p.add_argument("--dns-search", action="append", help="search domain for containers")
    p.add_argument("--cgroup-parent", help="parent cgroup of all containers (default wherry)")
    p.add_argument("--default-shm-size", type=int, metavar="BYTES", help="size of /dev/shm")
    p.add_argument("--log-driver", help="json-file or none")
    p.add_argument(
        "--log-opt", action="append", metavar="KEY=VALUE", help="max-size, max-file, tag, labels, env"
    )
    p.add_argument("--no-new-privileges", action="store_true", default=None, help="for all containers")
    p.add_argument("--init", action="store_true", default=None, help="run an init in every container")
    p.add_argument("--pidfile", type=Path, help="write the process id there")
    p.add_argument("--network-pool", type=int, default=8, metavar="N", help="network namespaces kept ready")
    p.add_argument("--idle-exit", metavar="DURATION",
                   help="end after this long without a request and without a running container")  # fmt: skip
    p.add_argument("-l", "--log-level", choices=["debug", "info", "warn", "error"])
    p.add_argument("-D", "--debug", action="store_true", help="same as --log-level debug")
    p.add_argument("-v", "--version", action="version", version=f"wherryd {__version__}")
    return p


def read_file(given: Path | None) -> DaemonFile:
    """The configuration file. The default one may be missing, one that was named may not."""
    path = given or DEFAULT_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=DaemonFile)
    except FileNotFoundError:
        if given is not None:
            raise
        return DaemonFile()
    except msgspec.DecodeError as error:
        raise InvalidArgument(f"{path}: {error}") from None


def duration(text: str) -> float:
    """Seconds of ``90s``, ``5m``, ``1h30m``."""
    try:
        nanoseconds = parse_duration(text)
    except InvalidArgument:
        nanoseconds = -1
    if nanoseconds < 0:
        raise InvalidArgument(f"invalid duration: {text!r} (write it as 90s, 5m or 1h)")
    return nanoseconds / SECOND


def engine_config(args: argparse.Namespace, file: DaemonFile) -> EngineConfig:
    """Command line over file over defaults."""
    defaults = EngineConfig()
    log_opts = dict(option.partition("=")[::2] for option in args.log_opt or ()) or file.log_opts or {}
    return EngineConfig(
        data_root=Path(args.data_root or file.data_root or defaults.data_root).absolute(),
        exec_root=Path(args.exec_root or file.exec_root or defaults.exec_root).absolute(),
        cgroup_parent=(args.cgroup_parent or file.cgroup_parent or defaults.cgroup_parent).strip("/"),
        bridge=args.bridge or file.bridge or defaults.bridge,
        bip=args.bip or file.bip,
        dns=tuple(args.dns or file.dns or ()),
        dns_search=tuple(args.dns_search or file.dns_search or ()),
        log_driver=args.log_driver or file.log_driver or defaults.log_driver,
        log_opts=log_opts,
        shm_size=args.default_shm_size or file.default_shm_size or defaults.shm_size,
        no_new_privileges=bool(args.no_new_privileges or file.no_new_privileges),
        init=bool(args.init or file.init),
        pool_size=args.network_pool,
        ulimits=(allow_many_files(),),
    )


def tls_options(args: argparse.Namespace, file: DaemonFile) -> TlsOptions:
    """Command line over file over dockerd's defaults."""
    folder = Path(os.environ.get("DOCKER_CERT_PATH") or Path("~/.docker").expanduser())
    return TlsOptions(
        tls=file.tls if args.tls is None else args.tls,
        verify=file.tlsverify if args.tlsverify is None else args.tlsverify,
        ca=Path(args.tlscacert or file.tlscacert or folder / "ca.pem"),
        cert=Path(args.tlscert or file.tlscert or folder / "cert.pem"),
        key=Path(args.tlskey or file.tlskey or folder / "key.pem"),
    )


class OneLine(logging.Formatter):
    """A record on one line, and a trace below it; names and paths of others in it are made visible."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return visible(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:
        return visible_lines(super().formatException(ei))


def log_to_stderr(level: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])


async def idle(engine: Engine, activity: Activity, seconds: float) -> None:
    """Return when nothing has been asked and nothing has run for a while."""
    while True:
        await asyncio.sleep(min(seconds, 1.0) / 4)
        running = any(c.running for c in engine.containers.everyone())
        if running:
            activity.touch()
        elif not activity.open and time.monotonic() - activity.last >= seconds:
            return


def allow_many_files() -> Ulimit:
    """One load or a few hundred containers take more descriptors than the usual soft limit.

    The limit as it was is what containers get.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return Ulimit(name="nofile", soft=soft, hard=hard)


def settle() -> None:
    """What is here at the start stays: the collector of cycles need not go over it again and again, 10 ms each time.

    What requests leave behind goes by its reference counts, nearly all of it, so that fewer looks will do.
    """
    gc.freeze()
    gc.set_threshold(5000, 20, 20)
    heap.give_back()


@contextmanager
def noted_in(pidfile: Path | None) -> Iterator[None]:
    """The process id is in that file meanwhile, if there is to be one. Unavailable where another one's is: it is locked
    by whoever has noted itself there, so that what a killed one has left is nobody's."""
    if pidfile is None:
        yield
        return
    with pidfile.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Unavailable(f"{pidfile} is another wherryd's: give --pidfile another") from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        try:
            yield
        finally:
            pidfile.unlink(missing_ok=True)


async def run(
    config: EngineConfig,
    hosts: Sequence[str],
    tcp: Tcp | None = None,
    idle_exit: float | None = None,
    pidfile: Path | None = None,
) -> None:
    """Serve an engine until a signal ends it, or nobody needs it for ``idle_exit`` seconds."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    engine = Engine(config)
    await engine.start()
    try:
        # One that is not alone has ended by now, and leaves the other's file as it is.
        with noted_in(pidfile):
            await serve_engine(engine, hosts, tcp, idle_exit, stopped)
    finally:
        await engine.stop()


async def serve_engine(
    engine: Engine,
    hosts: Sequence[str],
    tcp: Tcp | None,
    idle_exit: float | None,
    stopped: asyncio.Event,
) -> None:
    """Listen until the event, or until nobody needs it any more."""
    app = create_app(engine)
    server = await serve(app, hosts, tcp)
    settle()
    log.info("wherryd %s listens on %s", __version__, ", ".join(server.addresses))
    waits: list[asyncio.Task[Any]] = [asyncio.create_task(stopped.wait())]
    if idle_exit is not None:
        waits.append(asyncio.create_task(idle(engine, server.activity, idle_exit)))
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    await server.close()


def check_root() -> None:
    """Raises Denied for anybody else."""
    if os.geteuid() != 0:
        raise Denied("only root can start the engine: run this with sudo")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the daemon until it is ended; the exit code."""
    args = parser().parse_args(argv)
    heap.use_one()
    try:
        check_root()
        file = read_file(args.config_file)
        level = "debug" if args.debug or file.debug else args.log_level or file.log_level or "info"
        log_to_stderr({"warn": "WARNING"}.get(level, level.upper()))
        idle_exit = duration(args.idle_exit) if args.idle_exit else None
        config = engine_config(args, file)
        check_defaults(config)
        hosts = args.hosts or file.hosts or [DEFAULT_HOST]
        tcp = tls_options(args, file).tcp() if any(host.startswith("tcp:") for host in hosts) else None
        asyncio.run(run(config, hosts, tcp, idle_exit, args.pidfile))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"wherryd: {visible(where)}{(error.strerror or str(error)).lower()}", file=sys.stderr)
        return 1
    except WherryError as error:
        print(f"wherryd: {visible(error)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
