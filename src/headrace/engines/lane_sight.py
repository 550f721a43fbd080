"""What operators see where a lane may give out the jobs: what it has leased is running."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec
from msgspec.structs import replace

from headrace.errors import LaneError, LaneUnavailable
from headrace.model.fleet import Fleet
from headrace.model.inspection import BOUND, Found, JobFilter, Page, QueueCounts
from headrace.model.job import Job, Token, as_running
from headrace.model.lane_view import LaneView, Mode
from headrace.model.state import State
from headrace.ports.inspector import Inspector
from headrace.ports.lane import Lane
from headrace.ports.lane_ledger import LaneLedger
from headrace.ports.schedules import Schedules
from headrace.ports.topics import Topics

_log = logging.getLogger("headrace.engine")
_STEP = 500


class Doubt:
    """Says that running jobs may be shown as available: once, until they are seen again."""

    def __init__(self) -> None:
        self._said = False

    def tell(self, why: object) -> None:
        """The lane cannot be asked which jobs run."""
        if not self._said:
            self._said = True
            _log.warning("running jobs are shown as available, since only the lane knows: %s", why)

    def dispel(self) -> None:
        """The lane has answered."""
        self._said = False


async def as_they_run(
    lane: Lane | None, view: LaneView, jobs: Sequence[Job], doubt: Doubt
) -> list[Job]:
    """The same jobs; of those that the ledger calls available, the leased ones are running."""
    waiting = [job.id for job in jobs if job.state is State.AVAILABLE]
    if view.mode is not Mode.HYBRID or not waiting:
        return list(jobs)
    try:
        leased = await _asked(lane).leased(view.epoch, waiting)
    except LaneError as exc:
        doubt.tell(exc)
        return list(jobs)
    doubt.dispel()
    return [
        as_running(job) if job.state is State.AVAILABLE and (job.id, job.gen) in leased else job
        for job in jobs
    ]


def _asked(lane: Lane | None) -> Lane:
    if lane is None:
        raise LaneUnavailable("no redis_url is configured here; set HEADRACE_REDIS_URL")
    return lane


class LaneSight:
    """The reads of an inspector. With the lane away they show what the ledger alone knows."""

    def __init__(self, inspector: Inspector, ledger: LaneLedger, lane: Lane | None) -> None:
        self._inspector = inspector
        self._ledger = ledger
        self._lane = lane
        self._doubt = Doubt()

    @property
    def topics(self) -> Topics:
        """Who gets what is published: in the ledger."""
        return self._inspector.topics

    @property
    def schedules(self) -> Schedules:
        """What makes jobs by the clock: the ledger alone knows of it."""
        return self._inspector.schedules

    async def find(self, wanted: JobFilter, *, limit: int, before: UUID | None = None) -> Found:
        """The ids of matching jobs, newest first."""
        if not _tells_apart(wanted) or (await self._view()).mode is not Mode.HYBRID:
            return await self._inspector.find(wanted, limit=limit, before=before)
        page = await self.list_jobs(wanted, limit=limit, before=before)
        return Found(ids=tuple(job.id for job in page.jobs), cursor=page.cursor)

    async def list_jobs(self, wanted: JobFilter, *, limit: int, before: UUID | None = None) -> Page:
        """Matching jobs, newest first. One that moved on meanwhile is shown as it is now."""
        page = await self._inspector.list_jobs(wanted, limit=limit, before=before)
        jobs = await self._seen(page.jobs)
        if not _tells_apart(wanted):
            return replace(page, jobs=tuple(jobs))
        if State.AVAILABLE in wanted.states:
            return replace(page, jobs=tuple(job for job in jobs if job.state is not State.RUNNING))
        return _merged(jobs, page.cursor, await self._running(wanted, limit, before), limit)

    async def get(self, job_id: UUID) -> Job:
        """One job.

        Raises:
            JobNotFound: there is none with this id.
        """
        (job,) = await self._seen([await self._inspector.get(job_id)])
        return job

    async def get_many(self, ids: Sequence[UUID]) -> list[Job]:
        """Jobs as they are now, in no order; unknown ids are left out."""
        return await self._seen(await self._inspector.get_many(ids))

    async def queues(self) -> list[QueueCounts]:
        """Every queue with its counts, by name."""
        return await self._counted(await self._inspector.queues())

    async def queue(self, name: str) -> QueueCounts:
        """One queue with its counts.

        Raises:
            UnknownQueue: there is none of this name.
        """
        (counts,) = await self._counted([await self._inspector.queue(name)])
        return counts

    async def fleet(self) -> Fleet:
        """The workers, the leaders and the lane."""
        return await self._inspector.fleet()

    async def _view(self) -> LaneView:
        view = await self._ledger.view()
        if self._lane is not None:
            self._lane.belong_to(view.ledger)
        return view

    async def _seen(self, jobs: Sequence[Job]) -> list[Job]:
        if all(job.state is not State.AVAILABLE for job in jobs):
            return list(jobs)
        return await as_they_run(self._lane, await self._view(), jobs, self._doubt)

    async def _given_out(self, waiting: Mapping[UUID, int]) -> set[UUID]:
        """Which of these jobs, each with its generation, the lane has given out."""
        view = await self._view()
        if view.mode is not Mode.HYBRID:
            return set()
        ids, leased = list(waiting), set[Token]()
        try:
            for start in range(0, len(ids), _STEP):
                leased |= await _asked(self._lane).leased(view.epoch, ids[start : start + _STEP])
        except LaneError as exc:
            self._doubt.tell(exc)
            return set()
        return {job_id for job_id, gen in leased if waiting.get(job_id) == gen}

    async def _counted(self, counts: list[QueueCounts]) -> list[QueueCounts]:
        held = await self._held()
        running = Counter(held.values())
        return [_with_running(one, running[one.queue]) for one in counts]

    async def _running(self, wanted: JobFilter, limit: int, before: UUID | None) -> list[Job]:
        """Up to `limit` matching jobs that run by the lane, newest first."""
        ids = sorted((job_id for job_id, _ in await self._held()), reverse=True)
        ids = [job_id for job_id in ids if before is None or job_id < before]
        found: list[Job] = []
        for start in range(0, len(ids), _STEP):
            jobs = sorted(await self._inspector.get_many(ids[start : start + _STEP]), key=_newest)
            found += [as_running(job) for job in jobs if _fits(job, wanted)]
            if len(found) >= limit:
                break
        return found[:limit]

    async def _held(self) -> dict[Token, str]:
        """The present attempts that the lane has given out, with their queue; not over `BOUND`."""
        view = await self._view()
        if view.mode is not Mode.HYBRID:
            return {}
        try:
            held = await _asked(self._lane).held(view.epoch, BOUND + 1)
        except LaneError as exc:
            self._doubt.tell(exc)
            return {}
        self._doubt.dispel()
        stale = await self._ledger.stale(list(held)) if held else set()
        return {token: queue for token, queue in held.items() if token not in stale}


def _tells_apart(wanted: JobFilter) -> bool:
    """Whether the filter wants either running or available jobs: the ledger mixes them."""
    return (State.RUNNING in wanted.states) != (State.AVAILABLE in wanted.states)


def _merged(jobs: Sequence[Job], cursor: UUID | None, more: Sequence[Job], limit: int) -> Page:
    """A page of the ledger, which ends at its cursor, and what the lane adds to it."""
    known = {job.id for job in jobs}
    added = [job for job in more if job.id not in known and (cursor is None or job.id >= cursor)]
    together = sorted([*jobs, *added], key=_newest)[:limit]
    return Page(jobs=tuple(together), cursor=together[-1].id if len(together) == limit else cursor)


def _with_running(counts: QueueCounts, n: int) -> QueueCounts:
    """The counts, if `n` of those that the ledger calls available are running."""
    available = counts.available if counts.available > BOUND else max(0, counts.available - n)
    return replace(counts, available=available, running=min(counts.running + n, BOUND + 1))


def _fits(job: Job, wanted: JobFilter) -> bool:
    """Whether a running job is wanted."""
    error = "" if job.error is None else msgspec.json.encode(job.error).decode()
    return (
        wanted.settled_for is None
        and wanted.queue in (None, job.queue)
        and wanted.task in (None, job.task)
        and wanted.tenant in (None, job.tenant)
        and (wanted.since is None or job.created_at >= wanted.since)
        and (wanted.until is None or job.created_at < wanted.until)
        and (wanted.error or "").lower() in error.lower()
    )


def _newest(job: Job) -> int:
    return -job.id.int
