"""A beat that hangs is cut off once others wait for what the next one says."""

import asyncio
from collections.abc import Sequence
from typing import cast
from uuid import UUID, uuid4

from headrace.model.job import Beat, Delivery
from headrace.ports.clock import boottime
from headrace.ports.engine import Engine
from headrace.worker.culprit import Culprit
from headrace.worker.hand import Hand
from headrace.worker.heartbeat import Heartbeat
from headrace.worker.rescue import Rescue


class HangsOnce:
    """An engine whose lane hangs in the first beat, and gives out no jobs any more in the next."""

    def __init__(self, hung: asyncio.Event) -> None:
        self._hung, self._loop = hung, asyncio.get_running_loop()
        self.beats = 0

    async def start(self) -> None:
        """Nothing to connect."""

    async def stop(self) -> None:
        """Nothing to disconnect."""

    async def beat(
        self,
        worker: UUID,  # noqa: ARG002 - as the engine's
        hand: Sequence[Delivery],  # noqa: ARG002 - as the engine's
        answered: int,  # noqa: ARG002 - as the engine's
        heeds: int | None = None,  # noqa: ARG002 - as the engine's
        busy: int = 0,  # noqa: ARG002 - as the engine's
    ) -> Beat:
        self.beats += 1
        if self.beats == 1:
            self._loop.call_soon_threadsafe(self._hung.set)
            await asyncio.Event().wait()
        return Beat(alive=True)


async def test_a_beat_that_hangs_is_cut_off_when_others_wait() -> None:
    hung, beaten = asyncio.Event(), asyncio.Event()
    engine, hand = HangsOnce(hung), Hand(uuid4(), boottime())
    heartbeat = Heartbeat(
        engine=lambda: cast("Engine", engine),
        hand=lambda: hand,
        beaten=lambda _: beaten.set(),
        blocked=lambda: Culprit("nobody"),
        rescue=Rescue(list),
        failed=lambda exc: None,  # noqa: ARG005 - a defect shows in the beats
        interval=0.01,
    )
    heartbeat.start()
    async with asyncio.timeout(10):
        await hung.wait()
        heartbeat.hurry()
        await beaten.wait()
    await heartbeat.stop()
    assert engine.beats > 1
