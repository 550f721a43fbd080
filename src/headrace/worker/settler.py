"""The settler: writes outcomes in batches, and again until the ledger has taken them."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from uuid import UUID

from headrace.errors import LedgerError, LedgerUnavailable
from headrace.model.job import Delivery, Ending, Settlement
from headrace.model.state import Stored
from headrace.model.verdict import describe, given_up
from headrace.ports.engine import Engine

_log = logging.getLogger("headrace.worker")
_BATCH = 500
_FLIGHTS = 2  # one batch waits for the disk while the next is written
Unwritten = tuple[UUID, Ending]
"""An outcome, and the identity whose attempt ended in it."""


class Settler:
    """Collects what ends while earlier batches are under way.

    Args:
        engine: where outcomes are written.
        settled: told of the attempts of a batch once their outcomes are written or refused, and
            the tokens of those that were accepted.
        failed: called with a defect. What it kept from being written stays in the worker's hand,
            which must end: its beats would keep it from everybody else.
    """

    def __init__(
        self,
        engine: Engine,
        settled: Callable[[Sequence[Ending], set[tuple[UUID, int]]], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._engine = engine
        self._settled = settled
        self._failed = failed
        self._waiting: deque[Unwritten] = deque()
        self._flights: dict[asyncio.Task[None], Sequence[Unwritten]] = {}
        self._abandoned = False

    @property
    def backlog(self) -> int:
        """How many outcomes wait to be written."""
        return len(self._waiting)

    def unwritten(self) -> list[Unwritten]:
        """What is not known to be written (readable from any thread while the loop is blocked)."""
        waiting = list(self._waiting.copy())
        return [one for batch in self._flights.copy().values() for one in batch] + waiting

    def add(self, worker: UUID, delivery: Delivery, settlement: Settlement) -> None:
        """Write an outcome soon."""
        if self._abandoned:
            return
        self._waiting.append((worker, Ending(delivery, settlement)))
        if len(self._waiting) == 1:
            # One turn of the loop, so that all handlers which end in it share a batch.
            asyncio.get_running_loop().call_soon(self._depart)

    async def drain(self) -> None:
        """Wait until everything is written."""
        while self._waiting or self._flights:
            self._depart()
            if self._flights:
                await asyncio.wait(self._flights, return_when=asyncio.FIRST_COMPLETED)

    def abandon(self) -> None:
        """Write nothing more; what is not written counts as cut short."""
        self._abandoned = True
        self._waiting.clear()
        for flight in self._flights:
            flight.cancel()

    def _depart(self) -> None:
        while self._waiting and len(self._flights) < _FLIGHTS:
            count = min(len(self._waiting), _BATCH)
            batch = [self._waiting.popleft() for _ in range(count)]
            flight = asyncio.create_task(self._fly(batch))
            self._flights[flight] = batch
            flight.add_done_callback(self._land)

    def _land(self, flight: "asyncio.Task[None]") -> None:
        self._flights.pop(flight, None)
        if not flight.cancelled() and (defect := flight.exception()) is not None:
            _log.error("outcomes could not be written", exc_info=defect)
            self._failed(defect)
        self._depart()

    async def _fly(self, batch: Sequence[Unwritten]) -> None:
        """Settle a batch; one that is refused is split until the culprit stands alone."""
        try:
            accepted = await self._settle_patiently(batch)
        except LedgerError as exc:
            if len(batch) == 1:
                await self._fly([_unwritable(batch[0], exc)])
                return
            middle = len(batch) // 2
            try:
                await self._fly(batch[:middle])
            finally:  # a defect in one half is none of the other half's
                await self._fly(batch[middle:])
        else:
            self._settled([ending for _, ending in batch], accepted)

    async def _settle_patiently(self, batch: Sequence[Unwritten]) -> set[tuple[UUID, int]]:
        """Repeat while the ledger is away: a repetition recognises what was written (A7)."""
        pause = 0.05
        while True:
            try:
                return await self._settle(batch)
            except LedgerUnavailable as exc:
                _log.warning("%d outcomes wait for the ledger: %s", len(batch), exc)
            await asyncio.sleep(pause)
            pause = min(pause * 2, 1.0)

    async def _settle(self, batch: Sequence[Unwritten]) -> set[tuple[UUID, int]]:
        """A batch may hold attempts of an identity that was reaped meanwhile."""
        endings_of: dict[UUID, list[Ending]] = {}
        for worker, ending in batch:
            endings_of.setdefault(worker, []).append(ending)
        accepted: set[tuple[UUID, int]] = set()
        for worker, endings in endings_of.items():
            accepted |= await self._engine.settle(worker, endings)
        return accepted


def _unwritable(waiting: Unwritten, exc: LedgerError) -> Unwritten:
    """An outcome that PostgreSQL cannot hold must not make the job run again and again."""
    worker, (delivery, settlement) = waiting
    if settlement.state is Stored.DEAD:
        raise exc
    error = describe(type(exc).__name__, f"the outcome cannot be stored: {exc}")
    return worker, Ending(delivery, given_up(delivery, Stored.DEAD, error, settlement.ran))
