"""The task that works on images, in a process of its own."""

from pathlib import Path
from typing import Unpack

from headrace import Context, Headrace, UsageError
from headrace.contrib.callers import as_callers_own
from headrace.contrib.extras import need
from headrace.contrib.images.work import Picture, Work
from headrace.contrib.presets import IMAGES
from headrace.options import TaskOptions
from headrace.task import SyncTask

_MOST_PIXELS = 40_000_000


def register(
    app: Headrace,
    folder: str | Path,
    *,
    most_pixels: int = _MOST_PIXELS,
    **options: Unpack[TaskOptions],
) -> SyncTask[[Work], Picture]:
    """Register the task `image(work)`, which makes one file of another, by Pillow.

    It runs in a process of its own, so `register` is called at the top level of a module. Files are
    taken that are JPEG, PNG, WebP or AVIF by their content, of 64 MiB and `most_pixels` at most:
    that is looked at before anything is decoded. The first frame counts. The image is turned
    upright, and all that it tells besides (EXIF with its place and camera, comments, thumbnails) is
    left out; its colour profile stays. The target is written whole or not at all, and again by a
    repeated run.

    Args:
        app: whose task it is.
        folder: below which all files lie, wherever links lead.
        most_pixels: width times height, of what is read and of what is made.
        options: as in `TaskOptions`; what is not given is that of `presets.IMAGES`.

    Raises:
        UsageError: an option was refused, or the folder is no absolute path.
        ConfigError: the extra `images` is missing.
    """
    need("images", "PIL")
    from headrace.contrib.images.drawing import draw  # noqa: PLC0415 - who enqueues draws nothing

    root = Path(folder)
    if not root.is_absolute():
        raise UsageError(f'folder="{folder}" must be absolute, for each process has its own')
    if not most_pixels >= 1:
        raise UsageError(f"most_pixels={most_pixels} leaves no image; give at least 1")

    def image(ctx: Context, work: Work) -> Picture:
        """Make one file of another."""
        return draw(work, root.resolve(), str(ctx.job_id), most_pixels)

    as_callers_own(image)
    made: TaskOptions = {"name": "image", **IMAGES, "executor": "process", **options}
    return app.task(**made)(image)
