"""The bus within a process: bounded at both ends, and honest about what is lost."""

import asyncio
from collections.abc import Sequence
from uuid import uuid4

import pytest

from headrace.bus import herald
from headrace.bus.herald import BusHerald
from headrace.bus.hub import Ear, frames, said_lost
from headrace.bus.memory import MemoryBus
from headrace.errors import LaneUnavailable
from headrace.ports.bus import ROOM, Gap, Message


class CountingBus(MemoryBus):
    """A bus that may be held up or away."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.published: list[Message] = []
        self.free = asyncio.Event()
        self.free.set()
        self.away = False

    async def heard(self) -> frozenset[str]:
        self.asked += 1
        if self.away:
            raise LaneUnavailable("it is away")
        return await super().heard()

    async def publish(self, messages: Sequence[Message]) -> None:
        await self.free.wait()
        if self.away:
            raise LaneUnavailable("it is away")
        self.published.extend(messages)
        await super().publish(messages)


async def silence(of: BusHerald) -> None:
    """Wait until it has told all that it has to tell."""
    assert of._flight is not None
    await asyncio.wait([of._flight])


async def test_a_slow_reader_is_told_how_much_it_missed() -> None:
    ear = Ear(["a"], most=2)
    for number in range(5):
        ear.hear(Message("a", b'"%d"' % number))
    assert [await anext(ear) for _ in range(3)] == [
        Message("a", b'"0"'),
        Message("a", b'"1"'),
        Gap(3),
    ]
    ear.hear(Message("a", b'"5"'))
    assert await anext(ear) == Message("a", b'"5"')


async def test_messages_are_packed_in_order_within_the_room() -> None:
    messages = [Message("ab"[n % 2], b'"%s%04d"' % (b"x" * 900, n)) for n in range(50)]
    packed = frames(messages)
    assert all(len(frame.body) <= ROOM for frame in packed)
    assert len(packed) < 10
    bus = MemoryBus()
    async with bus.subscribe(["a"]) as heard:
        for frame in packed:
            bus._hub.hear(frame.channel, frame.body)
        assert [await anext(heard) for _ in range(25)] == messages[::2]


async def test_losses_are_heard_in_their_place() -> None:
    bus = MemoryBus()
    async with bus.subscribe(["a"]) as heard:
        bus.say([Message("a", b'"x"'), said_lost("a", 7), Message("a", b'"y"')])
        assert [await anext(heard) for _ in range(3)] == [
            Message("a", b'"x"'),
            Gap(7),
            Message("a", b'"y"'),
        ]


async def test_nobody_is_asked_for_more_than_once_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(herald, "FRESH", 1000.0)
    bus = CountingBus()
    teller = BusHerald(bus, uuid4)
    for _ in range(10):
        teller.tell("a", b'"x"')
    await silence(teller)
    assert (bus.asked, bus.published, teller.open) == (1, [], False)
    teller.tell("a", b'"y"')
    async with bus.subscribe(["a"]) as heard:
        teller.ask_again()
        teller.tell("a", b'"z"')
        assert await anext(heard) == Message("a", b'"z"')
    assert bus.asked == 2
    await teller.close()


async def test_what_happens_while_it_asks_waits_for_the_answer() -> None:
    bus = CountingBus()
    teller = BusHerald(bus, uuid4)
    async with bus.subscribe(["a"]) as heard:
        for number in range(3):
            teller.tell("a", b'"%d"' % number)
        assert [await anext(heard) for _ in range(3)] == [
            Message("a", b'"%d"' % number) for number in range(3)
        ]
    await teller.close()


async def test_a_slow_bus_makes_it_drop_and_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(herald, "_MOST", 5)
    bus = CountingBus()
    teller = BusHerald(bus, uuid4)
    async with bus.subscribe(["a"]) as heard:
        bus.free.clear()
        for number in range(9):
            teller.tell("a", b'"%d"' % number)
        bus.free.set()
        got = [await anext(heard) for _ in range(6)]
    assert got == [*(Message("a", b'"%d"' % number) for number in range(5)), Gap(4)]
    await teller.close()


async def test_a_bus_that_is_away_costs_nothing_but_what_is_told() -> None:
    bus = CountingBus()
    teller = BusHerald(bus, uuid4)
    bus.away = True
    teller.tell("a", b'"x"')
    await silence(teller)
    assert not teller.open
    bus.away = False
    async with bus.subscribe(["a"]) as heard:
        teller.ask_again()
        teller.tell("a", b'"y"')
        assert await anext(heard) == Message("a", b'"y"')
        bus.away = True
        teller.tell("a", b'"z"')
        await silence(teller)
        assert not teller.open
    await teller.close()
