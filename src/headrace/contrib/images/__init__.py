"""Images, made smaller, cut, converted and stripped of what they tell.

draw = images.register(app, "/srv/pictures")
await draw.enqueue(
    images.Work(source="in/1.jpg", target="out/1.webp", steps=[images.Thumbnail(400, 400)])
)
"""

from headrace.contrib.images.task import register
from headrace.contrib.images.work import Crop, Picture, Resize, Thumbnail, Work

__all__ = ["Crop", "Picture", "Resize", "Thumbnail", "Work", "register"]
