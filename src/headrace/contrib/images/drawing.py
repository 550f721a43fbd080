"""The work on one image. What it is made of is looked at before it is decoded."""

import os
import warnings
from pathlib import Path
from struct import error as StructError  # noqa: N812 - it is a class

from PIL import Image, ImageOps

from headrace import Dead, Retry
from headrace.contrib.images.work import FORMATS, Crop, Picture, Resize, Thumbnail, Work

_READABLE = sorted({*FORMATS.values()})
_MOST_BYTES = 64 << 20
_WITH_ALPHA = {"RGBA", "LA", "PA"}
_KNOWN = {"1", "L", "P", "RGB", "CMYK", "YCbCr", *_WITH_ALPHA}
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, MemoryError, StructError)  # as Pillow raises


def draw(work: Work, folder: Path, mark: str, most_pixels: int) -> Picture:
    """Do the work and write the target: whole or not at all.

    Args:
        work: to be done.
        folder: below which both files lie.
        mark: of the job; a run that was killed leaves one file of this name, which the next takes.
        most_pixels: of the source, and of what is made of it.

    Raises:
        Retry: there is no such source yet.
        Dead: the image cannot be taken, or the work cannot be done with it.
    """
    source, target = _inside(folder, work.source), _inside(folder, work.target)
    if not source.is_file():
        raise Retry(f'there is no file "{work.source}"')
    if source.stat().st_size > _MOST_BYTES:
        raise Dead(f'"{work.source}" has over {_MOST_BYTES >> 20} MiB')
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(source, formats=_READABLE)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_large(work.source, most_pixels) from None
    except _BROKEN as exc:
        raise _unreadable(work, exc) from None
    with image:
        if image.width * image.height > most_pixels:
            raise _too_large(work.source, most_pixels)
        try:
            upright = ImageOps.exif_transpose(image)
        except _BROKEN as exc:
            raise _unreadable(work, exc) from None
        drawn = _plain(upright, work)
        for step in work.steps:
            drawn = _stepped(drawn, step, work, most_pixels)
        profile = image.info.get("icc_profile") if image.mode in {"RGB", "RGBA"} else None
    target.parent.mkdir(parents=True, exist_ok=True)
    return _write(drawn, work, target, mark, profile)


def _inside(folder: Path, name: str) -> Path:
    """The file of this name, wherever links lead."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder):
        raise Dead(f'"{name}" lies outside of the folder of the task')
    return path


def _plain(image: Image.Image, work: Work) -> Image.Image:
    """In colours that each format takes, and without anything that it told besides."""
    if image.mode not in _KNOWN:
        raise Dead(f'"{work.source}" has colours of the kind {image.mode}, which are not taken')
    clear = image.mode in _WITH_ALPHA or "transparency" in image.info
    if not clear:
        return _bare(image.convert("RGB"))
    whole = image.convert("RGBA")
    if work.format != "JPEG":
        return _bare(whole)
    white = Image.new("RGBA", whole.size, "white")
    return Image.alpha_composite(white, whole).convert("RGB")


def _bare(image: Image.Image) -> Image.Image:
    image.info = {}
    return image


def _stepped(
    image: Image.Image, step: Thumbnail | Resize | Crop, work: Work, most_pixels: int
) -> Image.Image:
    match step:
        case Thumbnail(width, height):
            image.thumbnail((width, height), Image.Resampling.LANCZOS)
            return image
        case Resize(width, height):
            if width * height > most_pixels:
                raise Dead(f"{width} x {height} are more pixels than {most_pixels:,}")
            return image.resize((width, height), Image.Resampling.LANCZOS)
        case Crop(left, top, width, height):
            if left + width > image.width or top + height > image.height:
                raise Dead(
                    f"a part of {width} x {height} at {left}, {top} is not inside of "
                    f'"{work.source}", which has {image.width} x {image.height} there'
                )
            return image.crop((left, top, left + width, top + height))


def _write(
    image: Image.Image, work: Work, target: Path, mark: str, profile: bytes | None
) -> Picture:
    options = {} if work.format == "PNG" else {"quality": work.quality}
    unfinished = target.with_name(f".{mark}{target.suffix}")
    try:
        with unfinished.open("wb") as file:
            image.save(file, work.format, icc_profile=profile, **options)
            file.flush()
            os.fsync(file.fileno())
        size = unfinished.stat().st_size
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
    return Picture(work.target, work.format, image.width, image.height, size)


def _too_large(name: str, most_pixels: int) -> Dead:
    return Dead(f'"{name}" has more than {most_pixels:,} pixels')


def _unreadable(work: Work, exc: BaseException) -> Dead:
    return Dead(f'"{work.source}" cannot be read as {", ".join(_READABLE)} ({type(exc).__name__})')
