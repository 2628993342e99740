"""Image names: ``[domain/]path[:tag][@digest]``, by the grammar of distribution's ``reference``."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from typing import Self

from wherry.errors import InvalidArgument

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"
_LEGACY_DOMAIN = "index.docker.io"
_OFFICIAL = "library/"
_NAME_LIMIT = 255

_DOMAIN_PART = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = rf"(?:{_DOMAIN_PART}(?:\.{_DOMAIN_PART})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_PATH_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
_REFERENCE = re.compile(
    rf"(?P<domain>{_DOMAIN})/(?P<path>{_PATH_PART}(?:/{_PATH_PART})*)(?::(?P<tag>{_TAG}))?(?:@(?P<digest>{_DIGEST}))?"
)
_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")
_BARE_ID = re.compile(r"[0-9a-f]{64}")
_TAG_ALONE = re.compile(_TAG)


@dataclass(frozen=True, slots=True, order=True)
class Reference:
    """A complete image name. ``tag`` and ``digest`` are empty where it has none."""

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """A name as a person types it, who leaves out Docker Hub and ``latest``. InvalidArgument if it is none."""
        named = cls.parse_bare(text)
        return named if named.tag or named.digest else replace(named, tag=DEFAULT_TAG)

    @classmethod
    def parse_bare(cls, text: str) -> Self:
        """As ``parse``, but without the default tag."""
        if _BARE_ID.fullmatch(text):
            raise InvalidArgument(
                f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings"
            )
        match = _REFERENCE.fullmatch(_with_domain(text))
        if match is None:
            raise _invalid(text)
        domain, path, tag, digest = match.group("domain", "path", "tag", "digest")
        if len(domain) + 1 + len(path) > _NAME_LIMIT:
            raise InvalidArgument(f"repository name must not be more than {_NAME_LIMIT} characters")
        if digest and digest.startswith("sha256:") and not _SHA256.fullmatch(digest):
            raise InvalidArgument("invalid checksum digest length")
        return cls(domain, path, tag or "", digest or "")

    @property
    def name(self) -> str:
        """The repository: domain and path."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """The repository as a person writes it: ``busybox`` for ``docker.io/library/busybox``."""
        if self.domain != DEFAULT_DOMAIN:
            return self.name
        if self.path.startswith(_OFFICIAL) and self.path.count("/") == 1:
            return self.path.removeprefix(_OFFICIAL)
        return self.name if _is_domain(self.path.partition("/")[0]) else self.path

    def canonical(self) -> str:
        """The one full spelling, by which the store keeps it."""
        return self.name + self._suffix()

    def familiar(self) -> str:
        """The shortest spelling that means the same, tag included."""
        return self.familiar_name + self._suffix()

    def with_tag(self, tag: str) -> Self:
        """The same repository under another tag; InvalidArgument if it cannot be a tag."""
        if not _TAG_ALONE.fullmatch(tag):
            raise InvalidArgument("invalid tag format")
        return replace(self, tag=tag, digest="")

    def matches(self, pattern: str) -> bool:
        """Whether the familiar spelling, with or without its tag, matches a shell pattern (Go's ``path.Match``)."""
        glob = _glob(pattern)
        return bool(glob.fullmatch(self.familiar()) or glob.fullmatch(self.familiar_name))

    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def _with_domain(text: str) -> str:
    first, slash, rest = text.partition("/")
    if not slash or not _is_domain(first):
        first, rest = DEFAULT_DOMAIN, text
    if first == _LEGACY_DOMAIN:
        first = DEFAULT_DOMAIN
    if first == DEFAULT_DOMAIN and "/" not in rest:
        rest = _OFFICIAL + rest
    return f"{first}/{rest}"


def _is_domain(first: str) -> bool:
    return "." in first or ":" in first or first == "localhost" or first.lower() != first


def _invalid(text: str) -> InvalidArgument:
    domain, _, rest = _with_domain(text).partition("/")
    path = re.split("[:@]", rest, maxsplit=1)[0]
    if path != path.lower() and _REFERENCE.fullmatch(f"{domain}/{rest.lower()}"):
        return InvalidArgument(f"invalid reference format: repository name ({path}) must be lowercase")
    return InvalidArgument("invalid reference format")


@cache
def _glob(pattern: str) -> re.Pattern[str]:
    """``*`` and ``?`` stop at slashes; classes may be negated with ``^``; a backslash quotes."""
    tokens = re.findall(r"\\.|\[\^?(?:\\.|[^\]\\])+\]|.", pattern, flags=re.DOTALL)
    try:
        return re.compile("".join(map(_glob_token, tokens)), flags=re.DOTALL)
    except re.error as error:
        raise InvalidArgument(f"syntax error in pattern {pattern!r}") from error


def _glob_token(token: str) -> str:
    if token == "*":
        return "[^/]*"
    if token == "?":
        return "[^/]"
    if len(token) > 2 and token.startswith("["):
        return token.replace("[", r"\[").replace(r"\[", "[", 1)
    if token in ("[", "\\"):
        raise InvalidArgument("syntax error in pattern")
    return re.escape(token[-1])
