"""Whether an image is for the platform that was asked for, or for this machine. The rule is containerd's."""

from __future__ import annotations

from wherry.engine.image_record import ImageRecord
from wherry.errors import NotFound
from wherry.image.manifest import Platform, host_platform


def check_platform(ref: str, image: ImageRecord, wanted: Platform) -> None:
    """NotFound, in Docker's words, where a machine of that platform does not run the image as its own."""
    stated = image.config.platform
    if not wanted.fitness(stated):
        raise NotFound(
            f"image with reference {ref} was found but its platform ({stated}) does not match the specified "
            f"platform ({wanted})"
        )


def foreign(image: ImageRecord) -> list[str]:
    """A warning, in Docker's words, where an image that was not asked for by its platform is for another one.

    Of which variant this machine is, is not known: it counts as the image's.
    """
    stated, host = image.config.platform, host_platform()
    if Platform(host.architecture, host.os, stated.variant).fitness(stated):
        return []
    return [
        f"The requested image's platform ({stated if stated.os else 'unknown'}) does not match the detected host "
        f"platform ({host}) and no specific platform was requested"
    ]
