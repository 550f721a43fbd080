"""Write-through: what was just committed goes straight to the lane, behind the caller's back."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

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


class Stamp(NamedTuple):
    """The lane's epoch, and its clock if that is known, as they were before a COMMIT was sent."""

    epoch: int
    time: int | None


class WriteThrough:
    """Puts jobs into the lane after their commit.

    Nobody waits for it. What it misses (the lane is away, full or busy, the process dies) is found
    by the relay's sweep.

    A put carries the epoch that was known before the COMMIT: under a later one its job may be in
    somebody's hands already, so that it is not surely clear of them.

    Args:
        lane: where to put.
        view: how the lane is, as far as this process knows.
        behind: called when the lane may be in another epoch or mode than `view` says.
    """

    def __init__(
        self, lane: Lane, view: Callable[[], LaneView], behind: Callable[[], None]
    ) -> None:
        self._lane = lane
        self._view = view
        self._behind = behind
        self._waiting: deque[tuple[int, LaneEntry]] = deque()
        self._flight: asyncio.Task[None] | None = None
        self._rests_until = 0.0

    @property
    def ready(self) -> bool:
        """Whether what is committed now will be put; the relay then looks after it later (A2)."""
        rests = asyncio.get_running_loop().time() < self._rests_until
        return self._view().mode is Mode.HYBRID and not rests

    def stamp(self) -> Stamp | None:
        """What is to be read before the COMMIT is sent (protocol A3); None: no lane gives out."""
        view = self._view()
        return Stamp(view.epoch, self._lane.stamp()) if view.mode is Mode.HYBRID else None

    def push(self, jobs: Sequence[NewJob], stamp: Stamp | None, *, told: bool = False) -> None:
        """Put jobs that this process committed, at their first sending.

        The lane flags the first ones of a process, which does not know the lane's clock yet. So are
        those that it was only `told` are committed: their savepoint may have been rolled back (A3;
        tests/integration/test_after_commit.py runs one that never was without it). What is delayed
        counts from the begin of that transaction, which the sweep knows.
        """
        now = asyncio.get_running_loop().time()
        if now < self._rests_until:
            return
        if stamp is None:
            # A process that only enqueues has nothing else to tell it that the lane is on.
            self._rests_until = now + _PAUSE
            self._behind()
            return
        horizon = 0.0 if told else HORIZON
        due_soon = [job for job in jobs if job.run_at is None and _delay(job) <= horizon]
        if len(self._waiting) + len(due_soon) > _MOST:
            return
        time = None if told else stamp.time
        self._waiting.extend((stamp.epoch, _entry(job, time)) for job in due_soon)
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
                epoch, batch = self._board()
                await self._lane.put(epoch, batch)
        except WrongEpoch:
            self._waiting.clear()
            self._behind()
        except LaneError as exc:
            # Never sent twice unflagged (A3): the sweep finds these and flags them.
            self._waiting.clear()
            self._rests_until = asyncio.get_running_loop().time() + _PAUSE
            self._behind()  # it may have been voted out, and nothing else tells a producer
            _log.warning("jobs go to the lane by the relay for now: %s", exc)
        finally:
            self._flight = None

    def _board(self) -> tuple[int, list[LaneEntry]]:
        epoch = self._waiting[0][0]
        batch: list[LaneEntry] = []
        while self._waiting and self._waiting[0][0] == epoch and len(batch) < _BATCH:
            batch.append(self._waiting.popleft()[1])
        return epoch, batch


def _entry(job: NewJob, stamp: int | None) -> LaneEntry:
    delay = _delay(job)
    made = (job.id.int >> 80) * 1000
    return LaneEntry(
        id=job.id,
        gen=1,
        queue=job.queue,
        priority=job.priority,
        body=_body(job),
        delay=delay,
        flagged=stamp is None,
        stamp=stamp,
        clear=True,
        run_at=max(0, made + int(delay * 1_000_000) - _SLACK),
    )


def _body(job: NewJob) -> bytes:
    return pack_body(
        Body(
            job.task,
            job.payload,
            0,
            0,
            job.max_attempts,
            job.tenant,
            job.rerun_on_crash,
            job.headers,
        )
    )


def _delay(job: NewJob) -> float:
    return 0.0 if job.delay is None else job.delay.total_seconds()
