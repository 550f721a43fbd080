"""An application whose images are drawn in processes, importable there."""

import os

from headrace import Headrace
from headrace.contrib import images, mail, webhooks

app = Headrace("pictures")
draw = images.register(app, os.environ.get("PICTURES", "/nowhere"), most_pixels=1_000_000)
deliver = webhooks.register(app, {})
send = mail.register(app, {})
