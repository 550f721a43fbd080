"""Thumbnails of product pictures, each made in a process that may crash without harm."""

from headrace.contrib import images
from storefront.shop import PICTURES, app

MOST_PIXELS = 2_000_000  # more than that is a dead letter before anything is decoded

draw = images.register(app, PICTURES, most_pixels=MOST_PIXELS)  # the options of presets.IMAGES


def thumbnail(name: str) -> images.Work:
    """What is to be made of an uploaded picture, `uploaded/cup.jpg`."""
    return images.Work(
        source=f"uploaded/{name}.jpg",
        target=f"shown/{name}.webp",
        steps=[images.Thumbnail(200, 200)],
    )
