"""Who a worker is in the ledger: registered, reborn once it was taken for dead, and leaving."""

import asyncio
import logging
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from uuid import uuid4

from headrace.errors import LaneError, LedgerUnavailable
from headrace.model.job import Beat, Ending
from headrace.ports.clock import boottime
from headrace.ports.engine import Engine
from headrace.worker.attempt import Attempt
from headrace.worker.hand import Hand

_log = logging.getLogger("headrace.worker")


class Identity:
    """The identities of one worker, one after the other.

    Args:
        engine: where they are registered.
        queues: what the worker serves, with the slots of each.
        lease: seconds.

    Attributes:
        hand: what the current one holds.
    """

    def __init__(self, engine: Engine, queues: Mapping[str, int], lease: float) -> None:
        self._engine = engine
        self._queues = dict(sorted(queues.items()))
        self._lease = lease
        self._rebirth: asyncio.Task[None] | None = None
        self.hand: Hand = Hand(uuid4(), boottime(), lease=lease)

    async def register(self) -> None:
        """Begin under a new identity."""
        registered = boottime()
        identity = uuid4()
        host, pid = socket.gethostname(), os.getpid()
        await self._engine.register(identity, host, pid, self._queues, self._lease)
        self.hand = Hand(identity, registered, lease=self._lease)

    def beaten(self, beat: Beat) -> None:
        """Go on under a new identity where a beat was refused: a reaped one is void for ever.

        Beats of the void one go on meanwhile, and each refusal calls for this again.
        """
        if not beat.alive and (self._rebirth is None or self._rebirth.done()):
            self._rebirth = asyncio.create_task(self._be_reborn())

    async def settle_down(self) -> None:
        """Wait for the new identity that is on its way, if one is."""
        if self._rebirth is not None:
            await self._rebirth

    async def release(self) -> None:
        """Give back what has not started."""
        unstarted = self.hand.unstarted()
        if unstarted:
            with _left_to_the_reaper("to give back what has not started"):
                self._engine.heed(self.hand.view)
                await self._engine.release(self.hand.worker, unstarted)

    async def leave(self, stuck: Iterable[Attempt]) -> None:
        """End the lease. What is stuck fails by its timeout; what else runs was cut short."""
        running = self.hand.leave()
        endings = [
            Ending(one.delivery, one.given_up_as_stuck())
            for one in stuck
            if one.delivery in running
        ]
        with _left_to_the_reaper("to tell what was stuck and to leave"):
            if endings:
                await self._engine.settle(self.hand.worker, endings)
            await self._engine.leave(self.hand.worker, running)

    async def _be_reborn(self) -> None:
        if self.hand.void:
            try:
                await self.register()
            except LedgerUnavailable as exc:
                _log.warning("no new identity, the next beat tries again: %s", exc)


@contextmanager
def _left_to_the_reaper(what: str) -> Iterator[None]:
    """A ledger or a lane that is away stops no worker from ending: its lease ends with it."""
    try:
        yield
    except (LedgerUnavailable, LaneError) as exc:
        _log.warning("unable %s, the lease runs out by itself: %s", what, exc)
