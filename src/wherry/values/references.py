"""Image names: ``[domain/]path[:tag][@digest]``, by the grammar of distribution's ``reference``."""

from __future__ import annotations

from wherry.errors import InvalidArgument
from wherry.values.numbers import is_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from wherry.values.globs import Glob

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"
LEGACY_DOMAIN = "index.docker.io"
OFFICIAL = "library/"
NAME_LIMIT, TAG_LIMIT = 255, 128
SHA256 = "sha256:"
SHA256_DIGITS, DIGEST_DIGITS = 64, 32  # a digest of another algorithm has at least 32

LOWER, UPPER, DECIMAL = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"
LOWER_HEX = frozenset(DECIMAL + "abcdef")
HEX = LOWER_HEX | frozenset("ABCDEF")
LETTERS = frozenset(LOWER + UPPER)
ALPHANUMERIC = LETTERS | frozenset(DECIMAL)
PATH_LETTERS = frozenset(LOWER + DECIMAL)
PATH_CHARACTERS = PATH_LETTERS | frozenset("._-/")
TAG_CHARACTERS = ALPHANUMERIC | frozenset("_.-")
AS_BLANKS = str.maketrans(dict.fromkeys(LOWER + DECIMAL, " "))


class Reference:
    """A complete image name, a value that never changes. ``tag`` and ``digest`` are empty where it has none."""

    __slots__ = ("digest", "domain", "path", "tag")

    def __init__(self, domain: str, path: str, tag: str = "", digest: str = "") -> None:
        self.domain, self.path, self.tag, self.digest = domain, path, tag, digest

    @classmethod
    def parse(cls, text: str) -> Self:
        """A name as a person types it, who leaves out Docker Hub and ``latest``. InvalidArgument if it is none."""
        return cls.parse_bare(text).tagged()

    @classmethod
    def parse_bare(cls, text: str) -> Self:
        """As ``parse``, but without the default tag."""
        if len(text) == SHA256_DIGITS and LOWER_HEX.issuperset(text):
            raise InvalidArgument(
                f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings"
            )
        named, at, digest = text.partition("@")
        before, colon, tag = named.rpartition(":")
        if not colon or "/" in tag:
            before, colon, tag = named, "", ""
        domain, path = _with_defaults(before)
        versioned = (not colon or is_tag(tag)) and (not at or _is_digest(digest))
        if not versioned or not _is_domain(domain) or not _is_path(path):
            raise _invalid(domain, path, versioned)
        if len(domain) + 1 + len(path) > NAME_LIMIT:
            raise InvalidArgument(f"repository name must not be more than {NAME_LIMIT} characters")
        if digest.startswith(SHA256) and not is_image_id(digest):
            raise InvalidArgument("invalid checksum digest length")
        return cls(domain, path, tag, digest)

    @property
    def name(self) -> str:
        """The repository: domain and path."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """The repository as a person writes it: ``busybox`` for ``docker.io/library/busybox``."""
        if self.domain != DEFAULT_DOMAIN:
            return self.name
        if self.path.startswith(OFFICIAL) and self.path.count("/") == 1:
            return self.path.removeprefix(OFFICIAL)
        return self.name if _names_domain(self.path.partition("/")[0]) else self.path

    def canonical(self) -> str:
        """The one full spelling, by which the store keeps it."""
        return self.name + self._version()

    def familiar(self) -> str:
        """The shortest spelling that means the same, tag included."""
        return self.familiar_name + self._version()

    def tagged(self) -> Self:
        """With ``latest`` where it has neither tag nor digest."""
        return self if self.tag or self.digest else type(self)(self.domain, self.path, DEFAULT_TAG)

    def with_tag(self, tag: str) -> Self:
        """The same repository under another tag; InvalidArgument if it cannot be a tag."""
        if not is_tag(tag):
            raise InvalidArgument("invalid tag format")
        return type(self)(self.domain, self.path, tag)

    def as_name(self) -> Self:
        """The same, for an image that is to be called so.

        InvalidArgument where the name has a digest, which says what the content is, or reads as an image's id.
        """
        if self.digest:
            raise InvalidArgument("refusing to create a tag with a digest reference")
        if self.familiar_name == "sha256":
            raise InvalidArgument("refusing to create an ambiguous tag using digest algorithm as name")
        return self

    def matches(self, pattern: Glob) -> bool:
        """Whether the familiar spelling, with or without its tag, matches a shell pattern."""
        return pattern.matches(self.familiar()) or pattern.matches(self.familiar_name)

    def _version(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def _key(self) -> tuple[str, str, str, str]:
        return self.domain, self.path, self.tag, self.digest

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reference) and self._key() == other._key()

    def __lt__(self, other: Reference) -> bool:
        return self._key() < other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return f"Reference({self.canonical()!r})"


def is_image_id(text: str) -> bool:
    """Whether this is ``sha256:`` and 64 digits."""
    digits = text.removeprefix(SHA256)
    return len(digits) == SHA256_DIGITS == len(text) - len(SHA256) and LOWER_HEX.issuperset(digits)


def is_full_id(text: str) -> bool:
    """Whether this is an image's full id, with or without ``sha256:``, and so no name."""
    return is_image_id(text) or is_image_id(SHA256 + text)


def is_tag(text: str) -> bool:
    return 0 < len(text) <= TAG_LIMIT and TAG_CHARACTERS.issuperset(text) and text[0] not in ".-"


def _with_defaults(name: str) -> tuple[str, str]:
    """Domain and path, with Docker Hub's where they are left out."""
    first, slash, rest = name.partition("/")
    if not slash or not _names_domain(first):
        first, rest = DEFAULT_DOMAIN, name
    if first == LEGACY_DOMAIN:
        first = DEFAULT_DOMAIN
    if first == DEFAULT_DOMAIN and "/" not in rest:
        rest = OFFICIAL + rest
    return first, rest


def _names_domain(first: str) -> bool:
    """Whether what stands before the first slash is a domain, and not the beginning of a path on Docker Hub."""
    return "." in first or ":" in first or first == "localhost" or first.lower() != first


def _is_domain(text: str) -> bool:
    """A host name or an IPv6 address in brackets, with a port or without."""
    host, bracket, rest = text.partition("]")
    if bracket:
        good = host.startswith("[") and len(host) > 1 and (HEX | {":"}).issuperset(host[1:])
    else:
        host, colon, port = text.partition(":")
        good, rest = all(map(_is_domain_part, host.split("."))), colon + port
    return good and (not rest or (rest[0] == ":" and is_number(rest[1:])))


def _is_domain_part(part: str) -> bool:
    return (
        ALPHANUMERIC.issuperset(part.replace("-", "")) and part != "" and part[0] != "-" and part[-1] != "-"
    )


def _is_path(text: str) -> bool:
    """Parts between slashes: letters and digits, in which ``.``, ``_``, ``__`` or dashes separate."""
    return PATH_CHARACTERS.issuperset(text) and all(map(_is_path_part, text.split("/")))


def _is_path_part(part: str) -> bool:
    if part.isalnum():
        return True
    ends = PATH_LETTERS.issuperset(part[:1] + part[-1:]) and part != ""
    return ends and all(s in (".", "_", "__") or not s.strip("-") for s in part.translate(AS_BLANKS).split())


def _is_digest(text: str) -> bool:
    """``algorithm:hex``. The algorithm is letters and digits, in which ``-``, ``_``, ``+`` or ``.`` separate."""
    algorithm, _, digits = text.partition(":")
    for separator in "_+.":
        algorithm = algorithm.replace(separator, "-")
    words = algorithm.split("-")
    known = all(ALPHANUMERIC.issuperset(word) and word[:1] in LETTERS for word in words)
    return known and len(digits) >= DIGEST_DIGITS and HEX.issuperset(digits)


def _invalid(domain: str, path: str, versioned: bool) -> InvalidArgument:
    lower = path.lower()
    if path != lower and versioned and _is_domain(domain) and _is_path(lower):
        return InvalidArgument(f"invalid reference format: repository name ({path}) must be lowercase")
    return InvalidArgument("invalid reference format")
