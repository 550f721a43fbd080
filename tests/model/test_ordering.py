"""An ordering key has one job in flight, in order; each rule is there for a reason."""

import pytest

from model.explorer import CAN_FINISH, explore
from model.ordering import ONE_IN_FLIGHT, Ordering, OrderingTwin

BROKEN = {
    "decides_before_the_lock": (False, ONE_IN_FLIGHT),
    "passes_without_the_lock": (False, CAN_FINISH),
    "leaves_though_replayed": (False, ONE_IN_FLIGHT),
    "forgets_what_is_locked": (False, CAN_FINISH),
    "forgets_what_came_later": (False, CAN_FINISH),
    "replays_at_once": (False, ONE_IN_FLIGHT),
}


SOUND = {
    "a dead job blocks": Ordering(kept=True),
    "a dead job is skipped": Ordering(kept=False),
    "three producers": Ordering(kept=True, producers=3, faults=0),
}


@pytest.mark.parametrize("model", SOUND.values(), ids=SOUND)
def test_no_interleaving_breaks_a_property(model: Ordering) -> None:
    found = explore(model, limit=200_000)

    assert found.broken == {}
    assert found.states > 1_000


@pytest.mark.parametrize("twin", BROKEN)
def test_a_broken_twin_fails(twin: str) -> None:
    kept, fails = BROKEN[twin]
    model = Ordering(kept, twin=OrderingTwin(**{twin: True}))

    assert fails in explore(model, limit=200_000, until=fails).broken
