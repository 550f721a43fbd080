"""Names of queues and tasks."""

import re

from headrace.errors import UsageError
from headrace.model.shown import shown

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}")


def check_name(kind: str, name: object) -> str:
    """Return the name of a queue or task if it is well formed.

    Raises:
        UsageError: it is not 1 to 100 letters, digits and `. _ : -`, a letter or digit first.
    """
    if isinstance(name, str) and _NAME.fullmatch(name):
        return name
    raise UsageError(
        f"{kind} name {shown(name)} is not allowed; use 1 to 100 letters, digits and . _ : - "
        "beginning with a letter or digit"
    )
