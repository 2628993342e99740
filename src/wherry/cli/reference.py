"""Image names as a person writes them, and as the API wants them."""

from __future__ import annotations

import re
from typing import NamedTuple

DEFAULT_DOMAIN = "docker.io"
OFFICIAL = "library/"
DEFAULT_TAG = "latest"

PATH = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*")
DOMAIN = re.compile(
    r"(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
    r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*)(?::[0-9]+)?"
)
TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
DIGEST = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}")
IDENTIFIER = re.compile(r"(?:sha256:)?[0-9a-f]{64}")


class Reference(NamedTuple):
    """A name in full: ``busybox`` is docker.io, library/busybox, no tag, no digest."""

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def canonical(self) -> str:
        """With the registry, as the API has it: ``docker.io/library/busybox``."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar(self) -> str:
        """As short as it can be, with its tag or digest: ``busybox:latest``."""
        return self._with_version(
            self.path.removeprefix(OFFICIAL) if self.domain == DEFAULT_DOMAIN else self.canonical
        )

    @property
    def full(self) -> str:
        return self._with_version(self.canonical)

    def _with_version(self, name: str) -> str:
        return name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def tagged(self) -> Reference:
        """With ``latest`` where it has neither tag nor digest."""
        return self if self.tag or self.digest else self._replace(tag=DEFAULT_TAG)


def is_identifier(text: str) -> bool:
    """Whether this is an image's full id, and so no name."""
    return IDENTIFIER.fullmatch(text) is not None


def parse_reference(text: str) -> Reference:
    """OCI distribution-spec names, with Docker's defaults. ValueError in Docker's words."""
    rest, at, digest = text.partition("@")
    if at and not DIGEST.fullmatch(digest):
        raise ValueError("invalid reference format")
    name, tag = rest, ""
    if ":" in rest.rpartition("/")[2]:
        name, _, tag = rest.rpartition(":")
        if not TAG.fullmatch(tag):
            raise ValueError("invalid reference format")
    domain, path = _split_domain(name)
    if path.lower() != path and PATH.fullmatch(path.lower()):
        raise ValueError(f"invalid reference format: repository name ({path}) must be lowercase")
    if not PATH.fullmatch(path) or not DOMAIN.fullmatch(domain):
        raise ValueError("invalid reference format")
    return Reference(domain, path, tag, digest)


def _split_domain(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost" or first.lower() != first):
        domain, path = DEFAULT_DOMAIN, name
    else:
        domain, path = first, rest
    if domain == "index.docker.io":
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in path:
        path = OFFICIAL + path
    return domain, path
