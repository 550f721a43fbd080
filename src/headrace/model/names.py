"""Names of queues and tasks."""

import re
from collections.abc import Sequence
from difflib import get_close_matches

from headrace.errors import UsageError
from headrace.model.shown import shown

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}")
_NAMED = 20


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


def unknown(kind: str, name: str, known: Sequence[str]) -> str:
    """The sentence that refuses the name of a queue or task that is not among those known."""
    near = get_close_matches(name, known, 1)
    guess = f'did you mean "{near[0]}"? ' if near else ""
    some = ", ".join(known[:_NAMED]) + (f" and {len(known) - _NAMED} more" * (len(known) > _NAMED))
    return f'{kind} "{name}" is unknown; {guess}known: {some or "none yet"}'
