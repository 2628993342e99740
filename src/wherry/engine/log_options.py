"""The log of a container: what ``--log-driver`` and ``--log-opt`` may say, and what each entry carries. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import msgspec

from wherry.engine.config import EngineConfig
from wherry.engine.record import ContainerRecord
from wherry.errors import InvalidArgument
from wherry.messages.container import LogConfig
from wherry.values.expressions import Expression
from wherry.values.numbers import is_number
from wherry.values.sizes import parse_size
from wherry.values.words import boolean

DRIVERS = ("json-file", "none")
OPTIONS = frozenset(
    {
        "max-size", "max-file", "compress", "tag", "labels", "labels-regex", "env", "env-regex", "mode",
        "max-buffer-size", "cache-disabled", "cache-max-size", "cache-max-file", "cache-compress",
    }
)  # fmt: skip
MOST_FILES = 10_000  # they are all renamed when the first is full
LARGEST = (1 << 63) - 1
LONGEST_ATTRIBUTES = 16 << 10  # native/log.c, ATTRIBUTES_MAX
LONGEST_TAG = 4 * LONGEST_ATTRIBUTES  # as it is written: what stands in for a placeholder may be shorter
# Of an expression of 20 steps through the names of 2000 labels; each takes some five nanoseconds.
MOST_STEPS = 2_000_000
MODES = ("blocking", "non-blocking")
PLACEHOLDER = re.compile(r"\{\{\s*\.([A-Za-z]+)\s*\}\}")


def log_config(asked: LogConfig, defaults: EngineConfig) -> LogConfig:
    """The log as the container asks for it, or as the engine's defaults have it."""
    if not asked.type:
        return LogConfig(type=defaults.log_driver, config=dict(asked.config or defaults.log_opts))
    return LogConfig(type=asked.type, config=dict(asked.config or {}))


def check_log(config: LogConfig) -> None:
    """InvalidArgument, in Docker's words, for what is no driver, no option or no value of one."""
    if config.type not in DRIVERS:
        raise InvalidArgument(
            f"logger: no log driver named {config.type!r} is registered; there are {', '.join(DRIVERS)}"
        )
    options = config.config or {}
    check_mode(options)
    if config.type == "none":
        return
    for key in options:
        if key not in OPTIONS:
            raise InvalidArgument(f"unknown log opt '{key}' for {config.type} log driver")
    log_size(config)
    log_files(config)
    check_compression(config)
    for key in ("labels-regex", "env-regex"):
        if pattern := options.get(key):
            expression(key, pattern)
    unknown = [name for name in PLACEHOLDER.findall(options.get("tag", "")) if name not in TAGS]
    if unknown or "{{" in PLACEHOLDER.sub("", options.get("tag", "")):
        known = ", ".join(f"{{{{.{name}}}}}" for name in TAGS)
        raise InvalidArgument(f"invalid log opt tag {options['tag']!r}: a template may have {known}")


def check_mode(options: dict[str, str]) -> None:
    """A log that is not written at once would be lost by a crash; so ``non-blocking`` is only accepted."""
    mode = options.get("mode", "blocking")
    if mode not in MODES:
        raise InvalidArgument(f"logger: logging mode not supported: {mode}")
    if "max-buffer-size" in options:
        if mode != "non-blocking":
            raise InvalidArgument("logger: max-buffer-size option is only supported with 'mode=non-blocking'")
        parse_size(options["max-buffer-size"])


def check_compression(config: LogConfig) -> None:
    try:
        wished = is_compressed(config)
    except ValueError:
        raise InvalidArgument(f"invalid value for compress: {(config.config or {})['compress']!r}") from None
    if wished and (log_files(config) < 2 or log_size(config) == 0):
        raise InvalidArgument("compress cannot be true when max-file is less than 2 or max-size is not set")


def is_compressed(config: LogConfig) -> bool:
    """Whether rotated files are to be compressed. ValueError for what is neither true nor false."""
    return config.type == "json-file" and boolean((config.config or {}).get("compress", "false"))


def log_size(config: LogConfig) -> int:
    """``max-size`` in bytes; 0 for no limit."""
    text = (config.config or {}).get("max-size", "-1")
    if text == "-1":
        return 0
    try:
        size = parse_size(text)
    except InvalidArgument:
        raise InvalidArgument(f"invalid value for max-size: {text!r} (write it as 10m)") from None
    if not 0 < size <= LARGEST:
        raise InvalidArgument("max-size must be a positive number" + (" of 63 bits" if size else ""))
    return size


def log_files(config: LogConfig) -> int:
    """``max-file``, 1 where it is not given. InvalidArgument for less, or for no number."""
    text = (config.config or {}).get("max-file", "1")
    if not is_number(text) or text.strip("0") == "":
        raise InvalidArgument("max-file cannot be less than 1")
    if len(text) > len(str(MOST_FILES)) or int(text) > MOST_FILES:
        raise InvalidArgument(f"max-file cannot be more than {MOST_FILES}")
    return int(text)


# ---------------------------------------------------------------- what each entry carries

TAGS: dict[str, Callable[[ContainerRecord], str]] = {
    "ID": lambda record: record.id[:12],
    "FullID": lambda record: record.id,
    "Name": lambda record: record.name,
    "ImageID": lambda record: record.image[:12],
    "ImageFullID": lambda record: record.image,
    "ImageName": lambda record: record.config.image,
    "Command": lambda record: " ".join(record.argv),
    "DaemonName": lambda record: "docker",
}


def attributes(record: ContainerRecord) -> str:
    """The ``attrs`` of each entry as JSON text, in dockerd's order; empty where no option asks for any.

    InvalidArgument where they are longer than a monitor takes.
    """
    if record.host_config.log_config.type != "json-file":
        return ""
    found = dict(sorted(asked_attributes(record)))
    text = msgspec.json.encode(found).decode() if found else ""
    if len(text.encode()) > LONGEST_ATTRIBUTES:
        raise too_long()
    return text


def too_long() -> InvalidArgument:
    return InvalidArgument(
        f"log opts tag, labels and env make more than {LONGEST_ATTRIBUTES} bytes for each line"
    )


def asked_attributes(record: ContainerRecord) -> Iterator[tuple[str, str]]:
    options = record.host_config.log_config.config
    if not options:
        return
    variables = dict(entry.split("=", 1) for entry in record.config.env or () if "=" in entry)
    yield from chosen(record.config.labels or {}, options, "labels")
    yield from chosen(variables, options, "env")
    if options.get("tag"):
        yield "tag", filled(options["tag"], record)


def filled(template: str, record: ContainerRecord) -> str:
    """A tag with what stands in for its placeholders. InvalidArgument for a long one, before it is made: a command may
    have megabytes, and be told again and again."""
    names = PLACEHOLDER.findall(template)
    values = {name: TAGS[name](record) for name in set(names)}
    if len(template) > LONGEST_TAG or sum(len(values[name]) for name in names) > LONGEST_ATTRIBUTES:
        raise too_long()
    return PLACEHOLDER.sub(lambda match: values[match[1]], template)


def chosen(values: dict[str, str], options: dict[str, str], option: str) -> Iterator[tuple[str, str]]:
    """Those that the option names, and those whose names match its expression. InvalidArgument where to look at all of
    them would take long: this is done at each start, while everybody waits."""
    wanted = set(options[option].split(",")) if options.get(option) else set()
    key = f"{option}-regex"
    matching = expression(key, options[key]) if options.get(key) else None
    if matching is not None and matching.steps * sum(map(len, values)) > MOST_STEPS:
        raise InvalidArgument(f"invalid log opt {key}: too large for the names of {len(values)} {option}")
    for name, value in values.items():
        if name in wanted or (matching is not None and matching.is_in(name)):
            yield name, value


def expression(key: str, pattern: str) -> Expression:
    """The value of an option that is a regular expression. InvalidArgument, which names the option."""
    try:
        parsed = Expression.parse(pattern)
    except InvalidArgument as error:
        raise InvalidArgument(f"invalid log opt {key}: {error.message}") from None
    if parsed is None:
        raise InvalidArgument(f"invalid log opt {key}: {pattern!r} is not a regular expression")
    return parsed
