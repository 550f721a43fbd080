"""What is to be done with an image, as a job holds it."""

from pathlib import PurePosixPath

import msgspec

from headrace import UsageError

FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".avif": "AVIF"}
_MOST_STEPS = 10
_LONGEST_SIDE = 20_000
_LONGEST_NAME = 500


class Thumbnail(msgspec.Struct, frozen=True, tag="thumbnail"):
    """Make it fit into a box, in its own proportions; a smaller one stays as it is."""

    width: int
    height: int

    def __post_init__(self) -> None:
        """Check the sides."""
        _check_box(self.width, self.height)


class Resize(msgspec.Struct, frozen=True, tag="resize"):
    """Make it exactly so large, whatever its proportions."""

    width: int
    height: int

    def __post_init__(self) -> None:
        """Check the sides."""
        _check_box(self.width, self.height)


class Crop(msgspec.Struct, frozen=True, tag="crop"):
    """Cut out a part, which must lie inside: from the left and the top, in pixels."""

    left: int
    top: int
    width: int
    height: int

    def __post_init__(self) -> None:
        """Check the sides."""
        _check_box(self.width, self.height)
        if min(self.left, self.top) < 0:
            raise UsageError(f"a part begins at 0 or more, not at {self.left}, {self.top}")


class Work(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An image and what is to become of it.

    Attributes:
        source: its file, below the folder of the task: "in/1.jpg".
        target: the file that is written; its ending says its format: .jpg, .png, .webp or .avif.
        steps: what is done, in order; none: it is converted.
        quality: of a JPEG, WebP or AVIF, 1 to 95.

    Raises:
        UsageError: one of them cannot be.
    """

    source: str
    target: str
    steps: list[Thumbnail | Resize | Crop] = []
    quality: int = 80

    def __post_init__(self) -> None:
        """Check each value: on whichever side of the queue it is made."""
        _check_name("source", self.source)
        _check_name("target", self.target)
        if PurePosixPath(self.target).suffix.lower() not in FORMATS:
            raise UsageError(f"target={self.target!a} does not end in one of {', '.join(FORMATS)}")
        if not 1 <= self.quality <= 95:
            raise UsageError(f"quality={self.quality} is not from 1 to 95")
        if len(self.steps) > _MOST_STEPS:
            raise UsageError(f"an image takes at most {_MOST_STEPS} steps, not {len(self.steps)}")

    @property
    def format(self) -> str:
        """That of the target, as Pillow calls it."""
        return FORMATS[PurePosixPath(self.target).suffix.lower()]


class Picture(msgspec.Struct, frozen=True):
    """What was written.

    Attributes:
        target: its file, below the folder.
        format: JPEG, PNG, WEBP or AVIF.
        width: in pixels.
        height: in pixels.
        size: in bytes.
    """

    target: str
    format: str
    width: int
    height: int
    size: int


def _check_box(width: int, height: int) -> None:
    if not (1 <= width <= _LONGEST_SIDE and 1 <= height <= _LONGEST_SIDE):
        raise UsageError(f"{width} x {height} pixels: each side has 1 to {_LONGEST_SIDE}")


def _check_name(what: str, name: str) -> None:
    parts = PurePosixPath(name).parts
    fine = name.isprintable() and "\\" not in name and 1 <= len(name) <= _LONGEST_NAME
    if not fine or not parts or name.startswith("/") or ".." in parts:
        raise UsageError(
            f"{what}={name!a:.200} is no file below the folder of the task; write one such as "
            '"in/1.jpg", without ".."'
        )
