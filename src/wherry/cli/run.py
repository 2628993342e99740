"""``run`` and ``create``."""

from __future__ import annotations

import os
import sys

from wherry.cli.command import Context, Options, command
from wherry.cli.conversation import Attached, attach, begin_wait, converse, exit_code, signals_for
from wherry.cli.create_body import create_body
from wherry.cli.errors import ENGINE_FAILED, ApiError, CliError, UsageError, start_code
from wherry.cli.run_flags import CREATE_FLAGS, CREATE_GROUPS, PULL_CHOICES, RUN_FLAGS, RUN_GROUPS
from wherry.cli.terminal import NO_SIZE, check_tty, parse_detach_keys, size
from wherry.errors import InvalidArgument
from wherry.values.references import Reference, is_full_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wherry.cli.client import Client

    Json = dict[str, Any]

REMOVAL_PATIENCE = 3.0  # seconds for a container that did not start to be removed


USAGE = "[OPTIONS] IMAGE [COMMAND] [ARG...]"
EXAMPLES = (
    ("wherry run --rm -it debian bash", "a shell, and nothing left when it ends"),
    ("wherry run -d --init --name web -p 8080:80 debian busybox httpd -f", "in the background, with a port"),
    ("wherry run --rm -v /srv/data:/data:ro -m 256m --cpus 0.5 debian ls /data", "files of the host; limits"),
    ("wherry run --dry-run -p 8080:80 debian", "what would be done, and why"),
)


class IdFile:
    """``--cidfile``: made before the container, so that there is none whose id could not be kept, and gone again where
    there is no container. CliError where it cannot be made, or the id not be written."""

    def __init__(self, path: str) -> None:
        self._path, self._kept = path, False

    def __enter__(self) -> IdFile:
        try:
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise self._failed("create the container ID file", "open", error) from None
        return self

    def keep(self, id: str) -> None:
        """Write the id."""
        try:
            os.write(self._file, id.encode())
        except OSError as error:
            raise self._failed("write the container ID to the file", "write", error) from None
        self._kept = True

    def __exit__(self, *_: object) -> None:
        os.close(self._file)
        if not self._kept:
            os.unlink(self._path)

    def _failed(self, what: str, call: str, error: OSError) -> CliError:
        reason = (error.strerror or str(error)).lower()
        return CliError(f"failed to {what}: {call} {self._path}: {reason}")


class Created:
    def __init__(self, id: str, body: Json) -> None:
        self.id, self.body = id, body


@command(USAGE, CREATE_FLAGS, least=1, interspersed=False, groups=CREATE_GROUPS)
def create(context: Context, options: Options) -> int:
    """Print the new container's id, or with ``--dry-run`` its plan."""
    body = _body(context, options)
    if options.dry_run:
        return _dry_run(context, options, body)
    created = _create(context, options, body)
    print(created.id)
    return 0


@command(USAGE, RUN_FLAGS, least=1, interspersed=False, examples=EXAMPLES, groups=RUN_GROUPS)
def run(context: Context, options: Options) -> int:
    """The container's exit code; 0 detached or with ``--dry-run``. CliErrors have 125, as docker's."""
    if options.detach and options.attach:
        raise CliError("conflicting options: cannot specify both --attach and --detach")
    body = _body(context, options)
    if options.dry_run:
        return _dry_run(context, options, body)
    if not options.detach:
        check_tty(options.tty, body["AttachStdin"])
    parse_detach_keys(options.detach_keys)
    try:
        created = _create(context, options, body)
        if options.detach:
            return _run_detached(context, created)
        return _run_attached(context.client, options, created)
    except CliError as error:
        error.code = start_code(str(error)) if error.code == 1 else error.code
        error.hint = error.hint or _hint(context)
        raise


def _dry_run(context: Context, options: Options, body: Json) -> int:
    from wherry.cli.plan import dry_run

    return dry_run(context, options, body)


def _hint(context: Context) -> str:
    return f"Run 'wherry {context.called} --help' for more information"


def _body(context: Context, options: Options) -> Json:
    """The request's body; what is wrong with the options comes out as UsageError."""
    try:
        if options.pull not in PULL_CHOICES:
            raise ValueError(
                f'invalid pull option: \'{options.pull}\': must be one of "always", "missing" or "never"'
            )
        if options.format and not options.dry_run:
            raise ValueError("--format is for --dry-run only")
        console = size() if options.tty else NO_SIZE
        body = create_body(options, context.environment, console)
        if options.cidfile and os.path.exists(options.cidfile):
            raise ValueError(
                "container ID file found, make sure the other container isn't running or delete "
                f"{options.cidfile}"
            )
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"open {error.filename}: {reason}", ENGINE_FAILED, _hint(context)) from None
    except ValueError as error:
        raise UsageError(str(error), ENGINE_FAILED, _hint(context)) from None
    if not is_full_id(options.args[0]):
        _named(options.args[0])
    return body


def _named(image: str) -> Reference:
    try:
        return Reference.parse(image)
    except InvalidArgument as error:
        raise CliError(str(error)) from None


def _create(context: Context, options: Options, body: Json) -> Created:
    """Create the container, and keep its id where that is wanted."""
    if options.cidfile:
        with IdFile(options.cidfile) as file:
            answer = _created(context.client, options, body)
            file.keep(answer["Id"])
    else:
        answer = _created(context.client, options, body)
    for warning in answer.get("Warnings") or ():
        print(f"WARNING: {warning}", file=sys.stderr)
    return Created(answer["Id"], body)


def _created(client: Client, options: Options, body: Json) -> Json:
    """The engine's answer; its image is pulled first where that is missing (or always, if asked)."""
    image = options.args[0]
    named = not is_full_id(image)
    if options.pull == "always" and named:
        _pull(client, options)
    query = {"name": options.name or None, "platform": options.platform or None}
    try:
        answer: Json = client.call("POST", "/containers/create", query, body)
    except ApiError as error:
        missing = error.status == 404 and "No such image" in error.message
        if not (missing and named and options.pull == "missing"):
            raise
        print(f"Unable to find image '{_named(image).familiar()}' locally", file=sys.stderr)
        _pull(client, options)
        answer = client.call("POST", "/containers/create", query, body)
    return answer


def _pull(client: Client, options: Options) -> None:
    from wherry.cli.pull import pull_image

    pull_image(client, _named(options.args[0]), options.platform, options.quiet)


def _run_detached(context: Context, created: Created) -> int:
    """As docker, print the id also where the start fails."""
    try:
        context.client.call("POST", f"/containers/{created.id}/start")
    finally:
        print(created.id, flush=True)
    return 0


def _run_attached(client: Client, options: Options, created: Created) -> int:
    body, path = created.body, f"/containers/{created.id}"
    stdin, stdout, stderr = (body[key] for key in ("AttachStdin", "AttachStdout", "AttachStderr"))
    connection = attach(client, created.id, stdin, stdout, stderr, options.detach_keys)
    attached = Attached(path, connection, options.tty, stdin, options.detach_keys)
    signals, resizer = signals_for(client, attached, created.id if options.sig_proxy else None)
    with signals:
        waiting = begin_wait(client, created.id, "removed" if options.rm else "next-exit")

        def begin() -> None:
            try:
                client.call("POST", f"{path}/start")
            except ApiError:
                if options.rm:
                    signals.wait_readable(waiting.connection.sock.fileno(), REMOVAL_PATIENCE)
                raise

        detached = converse(client, attached, signals, begin, resizer)
        if detached:
            return 0
        if not stdout and not stderr:
            print(created.id, flush=True)
        return exit_code(waiting, signals)
