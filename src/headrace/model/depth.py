"""How many jobs a queue may hold."""

from headrace.errors import UsageError
from headrace.model.shown import shown

MOST = 1_000_000_000


def check_depth(queue: str, value: object) -> int:
    """How many jobs that are not over a queue may hold.

    Raises:
        UsageError: it is no whole number from 0 on.
    """
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST:
        return value
    raise UsageError(
        f'queue "{queue}": max_depth {shown(value)} cannot be; '
        f"give a whole number from 0 to {MOST:,}"
    )
