"""Write-through: what was just committed goes straight to the lane, behind the caller's back."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence

from headrace.errors import LaneError, WrongEpoch
from headrace.model.entry import Body, LaneEntry, pack_body
from headrace.model.job import NewJob
from headrace.model.lane_view import LaneView, Mode
from headrace.ports.lane import Lane

_log = logging.getLogger("headrace.engine")
HORIZON = 30.0
_BATCH = 500
_MOST = 20_000
_PAUSE = 1.0
_SLACK = 1_000_000  # an id's time may be a little after the run_at that PostgreSQL gives its job


class WriteThrough:
    """Puts jobs into the lane after their commit.

    Nobody waits for it. What it misses (the lane is away, full or busy, the process dies) is found
    by the relay's sweep.

    Args:
        lane: where to put.
        view: how the lane is, as far as this process knows.
        behind: called when the lane is in another epoch than `view` says.
    """

    def __init__(
        self, lane: Lane, view: Callable[[], LaneView], behind: Callable[[], None]
    ) -> None:
        self._lane = lane
        self._view = view
        self._behind = behind
        self._waiting: deque[LaneEntry] = deque()
        self._flight: asyncio.Task[None] | None = None
        self._rests_until = 0.0

    def stamp(self) -> int | None:
        """The lane's clock, to be read before the COMMIT is sent (protocol A3)."""
        return self._lane.stamp() if self._view().mode is Mode.HYBRID else None

    def push(self, jobs: Sequence[NewJob], stamp: int | None) -> None:
        """Put jobs that this process committed, at their first sending."""
        if stamp is None or asyncio.get_running_loop().time() < self._rests_until:
            return
        due_soon = [job for job in jobs if job.run_at is None and _delay(job) <= HORIZON]
        if len(self._waiting) + len(due_soon) > _MOST:
            return
        self._waiting.extend(_fresh(job, stamp) for job in due_soon)
        if self._flight is None and self._waiting:
            self._flight = asyncio.create_task(self._fly())

    async def close(self) -> None:
        """Put no more; a put under way is waited for."""
        self._waiting.clear()
        if self._flight is not None:
            await asyncio.wait([self._flight])

    async def _fly(self) -> None:
        try:
            while self._waiting:
                count = min(len(self._waiting), _BATCH)
                batch = [self._waiting.popleft() for _ in range(count)]
                await self._lane.put(self._view().epoch, batch)
        except WrongEpoch:
            self._waiting.clear()
            self._behind()
        except LaneError as exc:
            # Never sent twice unflagged (A3): the sweep finds these and flags them.
            self._waiting.clear()
            self._rests_until = asyncio.get_running_loop().time() + _PAUSE
            _log.warning("jobs go to the lane by the relay for now: %s", exc)
        finally:
            self._flight = None


def _fresh(job: NewJob, stamp: int) -> LaneEntry:
    delay = _delay(job)
    made = (job.id.int >> 80) * 1000
    return LaneEntry(
        id=job.id,
        gen=1,
        queue=job.queue,
        priority=job.priority,
        body=_body(job),
        delay=delay,
        flagged=False,
        stamp=stamp,
        clear=True,
        run_at=max(0, made + int(delay * 1_000_000) - _SLACK),
    )


def _body(job: NewJob) -> bytes:
    return pack_body(
        Body(job.task, job.payload, 0, 0, job.max_attempts, job.tenant, job.rerun_on_crash)
    )


def _delay(job: NewJob) -> float:
    return 0.0 if job.delay is None else job.delay.total_seconds()
