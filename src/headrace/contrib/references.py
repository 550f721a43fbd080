"""What a job names and never holds, such as a secret: it is looked up when the job runs."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from headrace import Dead

T = TypeVar("T")
Source = Mapping[str, T] | Callable[[str], Awaitable[T | None]]


async def look_up(kind: str, name: str, source: Source[T]) -> T:
    """What has this name now.

    Raises:
        Dead: nothing has it.
    """
    found = source.get(name) if isinstance(source, Mapping) else await source(name)
    if found is None:
        raise Dead(f'there is no {kind} "{name}"; add it and replay the job')
    return found
