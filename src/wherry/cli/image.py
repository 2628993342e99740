"""Verbs on images: load, import, pull, tag, rm."""

from __future__ import annotations

import os
import sys

from wherry.cli.command import Context, Options, command, repeated, switch, text
from wherry.cli.errors import ApiError, CliError
from wherry.cli.jsons import dumps
from wherry.cli.progress import Progress
from wherry.errors import InvalidArgument
from wherry.values.platforms import parse_platform
from wherry.values.references import Reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE = 1 << 20

LOAD_FLAGS = (
    text("input", "i", "Read from tar archive file, instead of STDIN"),
    text("platform", "", 'Load only the given platform variant. Formatted as "os[/arch[/variant]]"'),
    switch("quiet", "q", "Suppress the load output"),
)
IMPORT_FLAGS = (
    repeated("change", "c", "Apply Dockerfile instruction to the created image"),
    text("message", "m", "Set commit message for imported image"),
    text("platform", "", "Set platform if server is multi-platform capable"),
)
IMPORT_EXAMPLES = (
    ("mmdebstrap --variant=minbase bookworm | wherry import - debian", "a Debian, from its packages"),
    ("""tar -C tree -c . | wherry import -c 'CMD ["sh"]' - mine""", "a directory, with a command"),
)
PULL_FLAGS = (
    switch("all-tags", "a", "Download all tagged images in the repository"),
    text("platform", "", "Set platform if server is multi-platform capable"),
    switch("quiet", "q", "Suppress verbose output"),
)
RM_FLAGS = (
    switch("force", "f", "Force removal of the image"),
    switch("no-prune", "", "Do not delete untagged parents"),
)


def _open_input(path: str) -> int:
    """A file's descriptor, or standard input's. CliError for a directory."""
    if path and os.path.isdir(path):
        raise CliError(f"read {path}: is a directory")
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC) if path else 0


def _pieces(fd: int) -> Iterator[bytes]:
    while piece := os.read(fd, PIECE):
        yield piece


@command(
    "[OPTIONS]", LOAD_FLAGS, most=0, examples=(("wherry load -i image.tar", "what 'docker save' wrote"),)
)
def load(context: Context, options: Options) -> int:
    """Send an archive to the engine, and show its progress. CliError where stdin is a terminal."""
    if not options.input and os.isatty(0):
        raise CliError("requested load from stdin, but stdin is empty")
    source = _open_input(options.input)
    quiet = options.quiet or not sys.stdout.isatty()
    query = {"quiet": "1" if quiet else "0", "platform": _platform(options.platform)}
    headers = {"Content-Type": "application/x-tar"}
    response = context.client.request("POST", "/images/load", query, headers=headers, data=_pieces(source))
    Progress().show(response.objects())
    return 0


def _platform(text: str) -> str | None:
    """``linux/arm64/v8`` as the API's JSON."""
    if not text:
        return None
    try:
        parts = zip(("os", "architecture", "variant"), parse_platform(text), strict=True)
    except InvalidArgument as error:
        raise CliError(str(error)) from None
    return dumps({name: part for name, part in parts if part})


@command("[OPTIONS] file|URL|- [REPOSITORY[:TAG]]", IMPORT_FLAGS, least=1, most=2, examples=IMPORT_EXAMPLES)
def import_(context: Context, options: Options) -> int:
    """Make an image of an archive of files; an URL is given to the engine to fetch."""
    source, *names = options.args
    if names:
        _named(names[0])
    remote = source.startswith(("http://", "https://"))
    query = [
        ("fromSrc", source if remote else "-"),
        *([("repo", names[0])] if names else []),
        *([("message", options.message)] if options.message else []),
        *([("platform", options.platform)] if options.platform else []),
        *(("changes", change) for change in options.change),
    ]
    data = None if remote else _pieces(_open_input("" if source == "-" else source))
    headers = {} if remote else {"Content-Type": "application/x-tar"}
    response = context.client.request("POST", "/images/create", query, headers=headers, data=data)
    Progress().show(response.objects())
    return 0


def _named(text: str) -> Reference:
    try:
        return Reference.parse_bare(text)
    except InvalidArgument as error:
        raise CliError(str(error)) from None


@command("[OPTIONS] NAME[:TAG|@DIGEST]", PULL_FLAGS, least=1, most=1)
def pull(context: Context, options: Options) -> int:
    """Pull, and print the full name; with ``--quiet`` nothing else."""
    from wherry.cli.pull import pull_image

    name = _named(options.args[0])
    if options.all_tags:
        if name.tag or name.digest:
            raise CliError("tag can't be used with --all-tags/-a")
    elif not name.tag and not name.digest:
        name = name.tagged()
        if not options.quiet:
            print(f"Using default tag: {name.tag}")
    pull_image(context.client, name, options.platform, options.quiet, sys.stdout)
    print(name.canonical())
    return 0


@command("SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]", least=2, most=2)
def tag(context: Context, options: Options) -> int:
    """Give an image one more name. CliError for what is no name."""
    source, target = options.args
    try:
        name = Reference.parse(target)
    except InvalidArgument as error:
        raise CliError(
            f'Error parsing reference: "{target}" is not a valid repository/tag: {error}'
        ) from None
    query = {"repo": name.name, "tag": name.tag or None}
    context.client.call("POST", f"/images/{source}/tag", query)
    return 0


@command("[OPTIONS] IMAGE [IMAGE...]", RM_FLAGS, least=1)
def rm(context: Context, options: Options) -> int:
    """Print what was untagged and deleted. 1 where any failed; with ``--force``, absent is fine."""
    code = 0
    for name in options.args:
        try:
            query = {"force": options.force, "noprune": options.no_prune}
            removed = context.client.call("DELETE", f"/images/{name}", query)
        except ApiError as error:
            print(f"wherry: {error}", file=sys.stderr)
            if not (options.force and error.status == 404):
                code = 1
            continue
        for item in removed or ():
            kind = "Deleted" if "Deleted" in item else "Untagged"
            print(f"{kind}: {item[kind]}")
    return code
