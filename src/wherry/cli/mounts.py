"""``--mount``, ``-v`` and ``--device``: what of the host, and of memory, the container sees."""

from __future__ import annotations

import os

from wherry.cli.csv_fields import key_values
from wherry.values.sizes import parse_size
from wherry.values.words import boolean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Json = dict[str, Any]

OPTION_GROUPS = {
    "bind": "BindOptions",
    "volume": "VolumeOptions",
    "image": "ImageOptions",
    "tmpfs": "TmpfsOptions",
}
WITHOUT_VALUE = {"readonly", "ro", "volume-nocopy", "bind-nonrecursive"}
RECURSION = {"enabled", "disabled", "writable", "readonly"}
CDI_NAME = r"[A-Za-z][\w.-]*/[A-Za-z][\w.-]*=[A-Za-z0-9][\w.:-]*"


def absolute(source: str) -> str:
    """A path that begins with a dot, made absolute; all else as it is."""
    return os.path.abspath(source) if source in (".", "..") or source.startswith(("./", "../")) else source


def parse_mount(text: str) -> Json:
    """``type=bind,source=/a,target=/b,readonly`` as the API's ``Mount``. ValueError in Docker's words."""
    mount: Json = {"Type": "volume"}
    recursive = ""
    for key, given in key_values(text):
        if given is None and key not in WITHOUT_VALUE:
            raise ValueError(f"invalid field '{key}' must be a key=value pair")
        field = "true" if given is None else given
        try:
            if key == "bind-recursive":
                recursive = _recursion(field, mount)
            elif key in SETTERS:
                SETTERS[key](mount, field)
            else:
                raise LookupError
        except LookupError:
            raise ValueError(f"unexpected key '{key}' in '{key}={field}'") from None
        except ValueError as error:
            raise ValueError(str(error) or f"invalid value for {key}: {field}") from None
    _check_mount(mount, recursive)
    return mount


def _check_mount(mount: Json, recursive: str) -> None:
    for prefix, group in OPTION_GROUPS.items():
        if group in mount and mount["Type"] != prefix:
            raise ValueError(f"cannot mix '{prefix}-*' options with mount type '{mount['Type']}'")
    if "Target" not in mount:
        raise ValueError("target is required")
    if recursive in ("writable", "readonly") and not mount.get("ReadOnly"):
        raise ValueError(
            f"option 'bind-recursive={recursive}' requires 'readonly' to be specified in conjunction"
        )
    if recursive == "readonly" and mount["BindOptions"].get("Propagation") != "rprivate":
        raise ValueError(
            "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction"
        )


def _recursion(field: str, mount: Json) -> str:
    if field not in RECURSION:
        raise ValueError(
            f"invalid value for bind-recursive: {field} "
            '(must be "enabled", "disabled", "writable", or "readonly")'
        )
    names = {
        "disabled": "NonRecursive",
        "writable": "ReadOnlyNonRecursive",
        "readonly": "ReadOnlyForceRecursive",
    }
    if field in names:
        _options(mount, "bind")[names[field]] = True
    return field


def _options(mount: Json, prefix: str) -> Json:
    options: Json = mount.setdefault(OPTION_GROUPS[prefix], {})
    if prefix == "volume":
        options.setdefault("DriverConfig", {})
    return options


def _flag(text: str) -> bool:
    try:
        return boolean(text)
    except ValueError:
        raise ValueError from None  # the caller names the key


def _plain(name: str, convert: Callable[[str], str] = str) -> Callable[[Json, str], None]:
    def put(mount: Json, field: str) -> None:
        if converted := convert(field):
            mount[name] = converted

    return put


def _readonly(mount: Json, field: str) -> None:
    if _flag(field):
        mount["ReadOnly"] = True


def _option(prefix: str, name: str, convert: Callable[[str], Any] = str) -> Callable[[Json, str], None]:
    def put(mount: Json, field: str) -> None:
        options = _options(mount, prefix)
        if converted := convert(field):
            options[name] = converted

    return put


def _label(mount: Json, field: str) -> None:
    key, _, label = field.partition("=")
    _options(mount, "volume").setdefault("Labels", {})[key] = label


def _driver(mount: Json, field: str) -> None:
    _options(mount, "volume")["DriverConfig"]["Name"] = field


def _driver_option(mount: Json, field: str) -> None:
    key, _, option = field.partition("=")
    _options(mount, "volume")["DriverConfig"].setdefault("Options", {})[key] = option


def _tmpfs_size(text: str) -> int:
    try:
        return parse_size(text)
    except ValueError:
        raise ValueError from None


def _tmpfs_mode(text: str) -> int:
    try:
        return int(text, 8)
    except ValueError:
        raise ValueError from None


SETTERS: dict[str, Callable[[Json, str], None]] = {
    "type": _plain("Type", str.lower),
    "source": _plain("Source", absolute),
    "src": _plain("Source", absolute),
    "target": _plain("Target"),
    "dst": _plain("Target"),
    "destination": _plain("Target"),
    "readonly": _readonly,
    "ro": _readonly,
    "consistency": _plain("Consistency", str.lower),
    "bind-propagation": _option("bind", "Propagation", str.lower),
    "bind-nonrecursive": _option("bind", "NonRecursive", _flag),
    "volume-subpath": _option("volume", "Subpath"),
    "volume-nocopy": _option("volume", "NoCopy", _flag),
    "volume-label": _label,
    "volume-driver": _driver,
    "volume-opt": _driver_option,
    "image-subpath": _option("image", "Subpath"),
    "tmpfs-size": _option("tmpfs", "SizeBytes", _tmpfs_size),
    "tmpfs-mode": _option("tmpfs", "Mode", _tmpfs_mode),
}


def split_volumes(specs: list[str]) -> tuple[list[str], dict[str, Json]]:
    """``-v`` as the API's ``Binds`` and, for those without a source, ``Volumes``."""
    binds: list[str] = []
    anonymous: dict[str, Json] = {}
    for spec in specs:
        if not spec:
            raise ValueError("invalid empty volume spec")
        source, colon, rest = spec.partition(":")
        if not colon:
            anonymous[spec] = {}
        elif not source or not rest or "::" in spec:
            raise ValueError(f"invalid spec: {spec}: empty section between colons")
        else:
            binds.append(f"{absolute(source)}:{rest}")
    return binds, anonymous


def is_cdi(device: str) -> bool:
    """Whether ``--device`` names a CDI device (``vendor/class=name``) and not a path."""
    import re

    return re.fullmatch(CDI_NAME, device) is not None


def parse_device(text: str) -> Json:
    """``/dev/a[:/dev/b][:rwm]`` as the API's ``DeviceMapping``."""
    parts = text.split(":")
    if len(parts) > 3:
        raise ValueError(f"bad format for path: {text}")
    source, target, mode = parts[0], parts[0], "rwm"
    if len(parts) == 3:
        target, mode = parts[1], parts[2]
    elif len(parts) == 2:
        target, mode = (parts[0], parts[1]) if _is_device_mode(parts[1]) else (parts[1], mode)
    if not _is_device_mode(mode):
        raise ValueError(f"bad mode specified: {mode}")
    if not target.startswith("/"):
        raise ValueError(f"{target} is not an absolute path")
    return {"PathOnHost": source, "PathInContainer": target, "CgroupPermissions": mode}


def _is_device_mode(mode: str) -> bool:
    return bool(mode) and set(mode) <= set("rwm") and len(set(mode)) == len(mode)
