"""What happens to jobs is told on the bus, behind the ledger; what did not happen is not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from headrace.model.event import JOBS, Event, Kind, channel_of
from headrace.ports.bus import Heard, Message
from headrace.testing.engines.rig import Rig, completion

_PATIENCE = 10.0
_END = b'"the end"'


class EventTelling:
    """Tests of the herald and the bus."""

    async def test_what_is_inserted_and_settled_is_told(self, rig: Rig) -> None:
        async with _listening(rig, JOBS) as heard:
            one = await rig.given()
            await rig.settle(completion(one))
            told = await _all(rig, JOBS, heard)
        assert [(event.kind, event.job) for event in told] == [
            (Kind.ENQUEUED, one.id),
            (Kind.COMPLETED, one.id),
        ]
        assert [event.id for event in told] == sorted(event.id for event in told)
        assert told[1].attempt == 1

    async def test_what_is_refused_is_not_told(self, rig: Rig) -> None:
        one = await rig.given()
        await rig.settle(completion(one))
        async with _listening(rig, JOBS) as heard:
            stale = msgspec.structs.replace(one, gen=one.gen + 1)
            assert await rig.settle(completion(stale)) == set()
            told = await _all(rig, JOBS, heard)
        assert told == []

    async def test_a_queue_is_heard_alone(self, rig: Rig) -> None:
        one = await rig.given()
        async with (
            _listening(rig, channel_of("elsewhere")) as elsewhere,
            _listening(rig, channel_of(one.queue)) as heard,
        ):
            await rig.settle(completion(one))
            told = await _all(rig, channel_of(one.queue), heard)
            silence = await _all(rig, channel_of("elsewhere"), elsewhere)
        assert [event.job for event in told] == [one.id]
        assert silence == []


@asynccontextmanager
async def _listening(rig: Rig, channel: str) -> AsyncIterator[AsyncIterator[Heard]]:
    async with rig.engine.bus.subscribe([channel]) as heard:
        rig.engine.herald.ask_again()
        yield heard


async def _all(rig: Rig, channel: str, heard: AsyncIterator[Heard]) -> list[Event]:
    """What is told until now: messages of a channel stay in order."""
    rig.engine.herald.tell(channel, _END)
    told: list[Event] = []
    async with asyncio.timeout(_PATIENCE):
        async for message in heard:
            assert isinstance(message, Message)
            if message.body == _END:
                break
            told.append(msgspec.json.decode(message.body, type=Event))
    return told
