"""The scheduler: makes the jobs of ticks as their moments come."""

import logging
from collections.abc import Callable, Sequence

import msgspec

from headrace.engines.ledgered import LedgeredEngine
from headrace.errors import HeadraceError, LedgerUnavailable, SchemaError
from headrace.model.schedule import DueSchedule, Move, move_of
from headrace.ports.clock import boottime
from headrace.ports.lane import LEASE
from headrace.relay.leadership import Leadership
from headrace.service import Loop

_log = logging.getLogger("headrace.relay")
_MOST = 500
_REST = 1.0  # between two looks where nothing tells of a change
_HOLD = 10.0


class Scheduler:
    """Makes each tick once.

    Any number of schedulers is correct, since the jobs of ticks and the cursor of their schedule
    are written in one statement, and only where the cursor is still the one that was read. One
    leads, which saves the others the work. No clock of a host is asked: the ledger says what is
    due, and how long the next one has.

    Args:
        engine: started.
        lease: seconds; who follows a leader that died does so within a third of it.
        failed: called with a defect.
    """

    def __init__(
        self,
        engine: LedgeredEngine,
        *,
        lease: float = LEASE,
        failed: Callable[[BaseException], None] | None = None,
    ) -> None:
        self._engine = engine
        self._ticks = engine.ledger.ticks
        self._longest = min(lease, LEASE) / 6
        self._leadership = Leadership(engine.ledger.lanes, "scheduler", min(lease, LEASE) / 3)
        self._listens = False
        # A round waits for changes, and can be repeated.
        self.loop: Loop = Loop(
            "scheduler", self.poll, ended=self._leadership.resign, failed=failed, severable=True
        )

    async def poll(self) -> float:
        """One round of the leader: what is due is made, then it waits for a tick or a change."""
        if not await self._leadership.held():
            self._listens = False
            return self._longest
        if not self._listens:
            await self._ticks.heard(0.0)  # what is changed after the look is heard from now on
            self._listens = True
        due = await self._ticks.due(_MOST)
        if due.found:
            await self._make([move for one in due.found for move in await self._read(one)])
            return 0.0
        wait = self._longest if due.wait is None else min(due.wait, self._longest)
        asked = boottime()
        if await self._ticks.heard(wait):
            return 0.0
        return max(0.0, min(wait - (boottime() - asked), _REST))

    async def _read(self, schedule: DueSchedule) -> list[Move]:
        try:
            return [move_of(schedule)]
        except (ValueError, msgspec.MsgspecError) as exc:
            await self._hold(schedule, f"it cannot be read by this version: {exc}")
            return []

    async def _make(self, moves: Sequence[Move]) -> None:
        """Make what is due; moves that are refused are halved until the culprit stands alone."""
        if not moves:
            return
        try:
            await self._engine.make_ticks(moves)
        except (LedgerUnavailable, SchemaError):
            raise
        except HeadraceError as exc:
            if len(moves) == 1:
                await self._hold(moves[0].schedule, str(exc))
                return
            middle = len(moves) // 2
            await self._make(moves[:middle])
            await self._make(moves[middle:])

    async def _hold(self, schedule: DueSchedule, why: str) -> None:
        _log.error('schedule "%s" cannot make its job: %s', schedule.name, why)
        await self._ticks.hold(schedule, _HOLD, why)
