"""A reader of a stream misses nothing; each rule is there for a reason."""

import pytest

from model.explorer import CAN_FINISH, explore
from model.streams import NO_HOLE, Streams, Twin

BROKEN = {
    "id_before_the_lock": NO_HOLE,
    "prunes_untold": NO_HOLE,
    "reads_apart": NO_HOLE,
    "wakes_alone": CAN_FINISH,
}


def test_no_interleaving_breaks_a_property() -> None:
    found = explore(Streams(), limit=200_000)

    assert found.broken == {}
    assert found.states > 300


@pytest.mark.parametrize("twin", BROKEN)
def test_a_broken_twin_fails(twin: str) -> None:
    fails = BROKEN[twin]
    found = explore(Streams(twin=Twin(**{twin: True})), limit=200_000, until=fails)

    assert fails in found.broken
