"""What operators see and do where a lane may give out the jobs (protocol A7).

A change flags the jobs in the lane, asks who holds them, commits in the ledger, asks again, and
repairs the lane. What comes between, and what it leads to (tests/model/lane_operator.py):

* taken before the flag: the lease is seen and, if the ledger says that it is the present attempt,
  the job is RUNNING and left alone;
* taken after the flag: it is flagged, so the worker asks the ledger, which refuses it after the
  commit. Asked before, it may start at any moment; the second look sees its lease, and the answer
  is STARTING. If its run has ended by then, it began before the answer;
* pushed unflagged after the flag: a tombstone refuses it;
* the lane is away, in another epoch, or not calm: nobody can tell, so the answer is STARTING, and
  a relay tells the lane later. What would be given out anew (tests/model/lane_operator.py, twin
  `reprioritise_blindly`) is not touched, then: a worker that has it would not be the only one;
* the command dies: what it flagged is refused or admitted by the ledger, nothing is lost.
"""

import logging
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from headrace.engines.lane_flows import LaneFlows
from headrace.engines.lane_sight import LaneSight
from headrace.engines.reconcile import reconcile
from headrace.errors import LaneError, LaneUnavailable
from headrace.model.cancellation import Cancellation
from headrace.model.inspection import Answer, JobEvent, Promised
from headrace.model.job import Token
from headrace.model.lane_view import LaneView, Mode
from headrace.ports.clock import boottime
from headrace.ports.flows import Flows
from headrace.ports.inspector import Answers, BlindInspector
from headrace.ports.lane import Lane
from headrace.ports.lane_ledger import LaneLedger
from headrace.ports.limiter import Limiter

_log = logging.getLogger("headrace.engine")
_REST = 10.0  # a command of many steps shall not wait for a hanging lane at each
_Change = Callable[[Sequence[UUID]], Awaitable[Answers]]
_ChangeAll = Callable[[], Awaitable[Answers]]


class LaneInspector(LaneSight):
    """An inspector of the ledger whose word reaches the lane as well.

    Args:
        inspector: of the ledger alone.
        ledger: what tells how the lane is.
        lane: None where this process knows of none; there may be one all the same.
    """

    def __init__(self, inspector: BlindInspector, ledger: LaneLedger, lane: Lane | None) -> None:
        super().__init__(inspector, ledger, lane)
        self._inspector: BlindInspector = inspector
        self._rests_until = 0.0

    @property
    def limiter(self) -> Limiter:
        """What keeps rate limits: the ledger, with a lane or without."""
        return self._inspector.limiter

    @property
    def flows(self) -> Flows:
        """Jobs that were enqueued as one graph."""
        return LaneFlows(self._inspector.flows, self.cancel, self._flag, self._given_out)

    async def history(self, job_id: UUID, *kinds: str) -> list[JobEvent]:
        """A job's events, oldest first."""
        return await self._inspector.history(job_id, *kinds)

    async def cancel(self, ids: Sequence[UUID], actor: str, reason: str = "") -> Answers:
        """Cancel jobs; who has one is asked to end it."""
        answers = await self._change(
            ids,
            lambda free: self._inspector.cancel(free, actor, reason),
            lambda: self._inspector.cancel(ids, actor, reason, untold=True),
        )
        held = [one for one, answer in answers.items() if answer in (Answer.RUNNING, Answer.BUSY)]
        asked = await self._inspector.ask(held, actor, reason) if held else set()
        return {**answers, **dict.fromkeys(asked, Answer.ASKED)}

    async def cancellations(self, n: int) -> Sequence[Cancellation]:
        """Up to `n` jobs whose workers were asked to end them, and that are not over."""
        return await self._inspector.cancellations(n)

    async def promote(self, ids: Sequence[UUID], actor: str) -> Answers:
        """Make scheduled and retryable jobs due now."""
        return await self._change(ids, lambda free: self._inspector.promote(free, actor))

    async def reprioritise(self, ids: Sequence[UUID], priority: int, actor: str) -> Answers:
        """Give jobs that no worker has another priority."""
        return await self._change(
            ids, lambda free: self._inspector.reprioritise(free, priority, actor)
        )

    async def replay(self, ids: Sequence[UUID], actor: str) -> Answers:
        """Make dead jobs available again, with all their attempts before them."""
        return await self._change_over(ids, lambda dead: self._inspector.replay(dead, actor))

    async def delete(self, ids: Sequence[UUID]) -> Answers:
        """Delete jobs that are over, with their history and idempotency keys."""
        return await self._change_over(ids, self._inspector.delete)

    async def retry(self, ids: Sequence[UUID], actor: str) -> Answers:
        """Run again now: replays what is dead, promotes what waits."""
        replayed = await self.replay(ids, actor)
        rest = [one for one in ids if replayed[one] is Answer.UNFIT]
        return {**replayed, **await self.promote(rest, actor)}

    async def create_queue(self, name: str) -> bool:
        """Make a queue known; False if it was."""
        return await self._inspector.create_queue(name)

    async def promise(self, name: str, promise: str) -> Promised:
        """Let a queue promise something else of its jobs."""
        return await self._inspector.promise(name, promise)

    async def max_depth(self, name: str, depth: int | None) -> bool:
        """Let a queue hold so many jobs at most; False if an operator has said so before."""
        return await self._inspector.max_depth(name, depth)

    async def pause(self, name: str) -> bool:
        """Hand out no more jobs of a queue; False if it was paused."""
        new = await self._inspector.pause(name)
        await self._tell(name, paused=True)
        return new

    async def resume(self, name: str) -> bool:
        """Hand out its jobs again; False if it was not paused."""
        new = await self._inspector.resume(name)
        await self._tell(name, paused=False)
        return new

    async def _tell(self, queue: str, *, paused: bool) -> None:
        """Tell the lane at once; whatever it missed, a relay tells it (relay/pauses.py)."""
        view = await self._view()
        if view.mode is not Mode.HYBRID:
            return
        try:
            with self._asking() as lane:
                await (lane.pause if paused else lane.resume)(view.epoch, queue)
        except LaneError as exc:
            _log.warning("the lane learns of it by a relay, not at once: %s", exc)

    async def _change(
        self, ids: Sequence[UUID], change: _Change, blindly: _ChangeAll | None = None
    ) -> Answers:
        """Change jobs that are not over, none of them behind the back of a worker.

        Args:
            ids: the jobs.
            change: changes those of them that no worker has.
            blindly: changes all where nobody can tell which a worker has; None: nothing does.
        """
        if not ids:
            return {}
        view = await self._view()
        if not (view.calm or blindly):
            _log.warning("nothing was changed: who worked under an earlier epoch may go on yet")
            return dict.fromkeys(ids, Answer.UNKNOWN)
        if view.mode is not Mode.HYBRID:
            answers = await change(ids)
            return answers if await self._still(view) else _unsure(answers, ids)
        try:
            with self._asking() as lane:
                held = await lane.flag(view.epoch, ids)
        except LaneError as exc:
            if blindly is None:
                _log.warning("nothing was changed, since which jobs run is not known: %s", exc)
                return dict.fromkeys(ids, Answer.UNKNOWN)
            _log.warning("which jobs are starting is not known: %s", exc)
            return _unsure(await blindly(), ids)
        stale = await self._ledger.stale(list(held)) if held else set()
        running = {job_id for job_id, _ in held - stale}
        free = [one for one in ids if one not in running]
        changed = await change(free)
        answers = {one: changed.get(one, Answer.RUNNING) for one in ids}
        return _unsure(answers, await self._follow(view, _done(answers), held))

    async def _change_over(self, ids: Sequence[UUID], change: _Change) -> Answers:
        """Change jobs that are over: no run of theirs can begin, so none is asked for.

        They are flagged for the sake of those that were cancelled while the lane was away.
        """
        view = await self._view()
        if not ids or view.mode is not Mode.HYBRID:
            return await change(ids)
        held: Collection[Token] = ()
        try:
            with self._asking() as lane:
                held = await lane.flag(view.epoch, ids)
        except LaneError as exc:
            _log.info("the lane is repaired by a relay: %s", exc)
        answers = await change(ids)
        await self._follow(view, _done(answers), held)
        return answers

    async def _flag(self, ids: Sequence[UUID]) -> None:
        """Let the lane ask the ledger before it gives out any of these, which are over."""
        view = await self._view()
        if view.mode is Mode.HYBRID:
            try:
                with self._asking() as lane:
                    await lane.flag(view.epoch, ids)
            except LaneError as exc:
                _log.info("the lane is repaired by a relay: %s", exc)

    async def _still(self, view: LaneView) -> bool:
        """Whether the ledger alone has given out jobs since, and knows of all that runs."""
        return view.calm and await self._view() == view

    async def _follow(
        self, view: LaneView, done: Sequence[UUID], held: Collection[Token]
    ) -> Collection[UUID]:
        """Repair the lane after a commit; returns the jobs of which a run may be starting."""
        if not done:
            return ()
        standing = await self._ledger.standing(done, view)
        try:
            with self._asking() as lane:
                leased = await lane.leased(view.epoch, done)
                await reconcile(lane, view, dict.fromkeys(done, 0), standing)
        except LaneError as exc:
            _log.warning("which jobs are starting is not known: %s", exc)
            return done
        if not view.calm:
            return done
        taken = leased.difference(held)
        return {
            job_id for job_id, gen in taken if job_id in standing and gen < standing[job_id].gen
        }

    @contextmanager
    def _asking(self) -> Iterator[Lane]:
        """The lane, unless it was away a moment ago.

        Raises:
            LaneUnavailable: it is not to be asked now.
        """
        if self._lane is None:
            raise LaneUnavailable(
                "a lane gives out the jobs of this database, but no redis_url is configured here; "
                "set HEADRACE_REDIS_URL"
            )
        if boottime() < self._rests_until:
            raise LaneUnavailable(f"it did not answer; it is asked again after {_REST:.0f} s")
        try:
            yield self._lane
        except LaneUnavailable:
            self._rests_until = boottime() + _REST
            raise


def _done(answers: Answers) -> list[UUID]:
    return [job_id for job_id, answer in answers.items() if answer is Answer.DONE]


def _unsure(answers: Answers, which: Collection[UUID]) -> Answers:
    """The same answers, but that a run of these may be starting."""
    unsure = set(which)
    return {
        job_id: Answer.STARTING if answer is Answer.DONE and job_id in unsure else answer
        for job_id, answer in answers.items()
    }
