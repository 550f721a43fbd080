"""What is published to streams is kept, in order, and read from any place."""

from collections.abc import Iterable
from uuid import uuid4

import msgspec

from headrace.model.stream import KEPT, NewStreamEvent, Page, Want
from headrace.testing.engines.rig import Rig

MANY = 10_000


def _new(stream: str, *numbers: int) -> list[NewStreamEvent]:
    return [NewStreamEvent(stream, "number", msgspec.Raw(b"%d" % one)) for one in numbers]


def _name() -> str:
    """Of a stream that no other test uses."""
    return f"users:{uuid4()}"


def _data(page: Page) -> list[int]:
    return [event.data for event in page.events]


class StreamKeeping:
    """Tests of streams."""

    async def test_events_are_read_in_order_from_any_place(self, rig: Rig) -> None:
        streams, one_user, other = rig.engine.streams, _name(), _name()
        ids = await streams.publish([*_new(one_user, 1), *_new(other, 10), *_new(one_user, 2, 3)])
        assert ids[0] < ids[2] < ids[3]
        one, two, rest, few, none = await streams.read(
            [
                Want(one_user, 0),
                Want(other, 0),
                Want(one_user, ids[0]),
                Want(one_user, 0),
                Want(_name(), 0),
            ],
            2,
        )
        assert (_data(one), _data(two), _data(rest), _data(few)) == ([1, 2], [10], [2, 3], [1, 2])
        assert one.last == ids[3]
        assert rest.events[0].id == ids[2]
        assert rest.events[0].at is not None
        assert (rest.events[0].kind, rest.events[0].stream) == ("number", one_user)
        assert none == Page()

    async def test_each_event_follows_the_one_before(self, rig: Rig) -> None:
        stream = _name()
        ids = [(await rig.engine.streams.publish(_new(stream, one)))[0] for one in range(5)]
        assert ids == list(range(ids[0], ids[0] + 5))

    async def test_only_the_latest_are_kept_and_it_says_so(self, rig: Rig) -> None:
        streams, stream = rig.engine.streams, _name()
        first = last = (await streams.publish(_new(stream, 0)))[0]
        for start in range(0, KEPT + 150, 115):
            last = (await streams.publish(_new(stream, *range(start, start + 115))))[-1]
        (page,) = await streams.read([Want(stream, first)], MANY)
        assert (page.last, page.gone) == (last, last - KEPT)
        assert [event.id for event in page.events] == list(range(last - KEPT + 1, last + 1))

    async def test_what_a_transaction_publishes_is_there_with_its_commit(self, rig: Rig) -> None:
        rig.needs_a_database()
        streams, stream = rig.engine.streams, _name()
        async with rig.around.connection() as connection:
            transaction = connection.transaction()
            await transaction.start()
            await streams.publish(_new(stream, 1), connection)
            assert await _all(rig, stream) == []
            await transaction.rollback()
            async with connection.transaction():
                await streams.publish(_new(stream, 2), connection)
        (third,) = await streams.publish(_new(stream, 3))
        (page,) = await streams.read([Want(stream, 0)], MANY)
        assert _data(page) == [2, 3]
        assert (page.gone, page.last) == (third - 2, third)


async def _all(rig: Rig, stream: str) -> Iterable[int]:
    (page,) = await rig.engine.streams.read([Want(stream, 0)], MANY)
    return _data(page)
