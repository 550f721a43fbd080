"""Doing something to all jobs that match a filter, in bounded steps."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from uuid import UUID

from headrace.model.inspection import Answer, JobFilter
from headrace.ports.inspector import Answers, Inspector

_STEP = 500


async def matching(
    inspector: Inspector, wanted: JobFilter, *, limit: int | None = None
) -> AsyncIterator[tuple[UUID, ...]]:
    """The ids of up to `limit` matching jobs, newest first, up to 500 at a time.

    Ends even while jobs come in: those made after a step are not looked at.
    """
    cursor: UUID | None = None
    left = limit
    while left is None or left > 0:
        step = _STEP if left is None else min(_STEP, left)
        found = await inspector.find(wanted, limit=step, before=cursor)
        if found.ids:
            yield found.ids
        if found.cursor is None:
            return
        cursor = found.cursor
        left = None if left is None else left - len(found.ids)


async def change_matching(
    inspector: Inspector,
    wanted: JobFilter,
    change: Callable[[Sequence[UUID]], Awaitable[Answers]],
    *,
    limit: int | None = None,
) -> Counter[Answer]:
    """Apply `change` to up to `limit` matching jobs; returns how many got which answer.

    Every step commits by itself: cut off in the middle, the call is repeated as it was.
    """
    answers: Counter[Answer] = Counter()
    async for ids in matching(inspector, wanted, limit=limit):
        answers.update((await change(ids)).values())
    return answers
