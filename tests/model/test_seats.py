"""A line has no more live jobs than seats, and none is lost; each rule is there for a reason."""

import pytest

from model.explorer import CAN_FINISH, explore
from model.seats import AS_WIDE_AS_SAID, NOT_DUE_NO_SEAT, Seats, SeatsTwin

BROKEN = {
    "seats_side_by_side": AS_WIDE_AS_SAID,
    "trusts_the_mark": AS_WIDE_AS_SAID,
    "forgets_what_came_later": CAN_FINISH,
    "forgets_what_is_locked": CAN_FINISH,
    "keeps_its_seat": NOT_DUE_NO_SEAT,
    "stirs_beside_a_look": CAN_FINISH,
}
SOUND = {
    "three faults": Seats(faults=3),
    "three producers": Seats(producers=3, faults=1),
}


@pytest.mark.parametrize("model", SOUND.values(), ids=SOUND)
def test_no_interleaving_breaks_a_property(model: Seats) -> None:
    found = explore(model, limit=300_000)

    assert found.broken == {}
    assert found.states > 500


@pytest.mark.parametrize("twin", BROKEN)
def test_a_broken_twin_fails(twin: str) -> None:
    model = Seats(twin=SeatsTwin(**{twin: True}))

    assert BROKEN[twin] in explore(model, limit=300_000, until=BROKEN[twin]).broken
