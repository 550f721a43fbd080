"""Ticks are made once in every interleaving, and each rule is there for a reason."""

import pytest

from model.explorer import explore
from model.ticks import AS_EDITED, NONE_LOST, ONCE, PAUSED, Budget, Ticks, Twin

ALONE = Budget(deaths=0, pauses=0, edits=0)
SOUND = {
    "deaths, a pause, an edit": Budget(),
    "three deaths": ALONE._replace(deaths=3),
    "two pauses and two edits": ALONE._replace(pauses=2, edits=2),
}
TWINS = [
    ("insert_apart", ONCE, ALONE),
    ("advance_apart", NONE_LOST, ALONE._replace(deaths=1)),
    ("compare_nothing", ONCE, ALONE),
    ("compare_cursor_alone", AS_EDITED, ALONE._replace(edits=1)),
    ("pause_unseen", PAUSED, ALONE._replace(pauses=1)),
    ("resume_without_cursor", PAUSED, ALONE._replace(pauses=1)),
]


@pytest.mark.parametrize("budget", SOUND.values(), ids=SOUND)
def test_no_interleaving_breaks_a_property(budget: Budget) -> None:
    found = explore(Ticks(budget), limit=200_000)

    assert found.broken == {}
    assert found.states > 100


@pytest.mark.parametrize(("twin", "fails", "budget"), TWINS, ids=[one[0] for one in TWINS])
def test_a_broken_twin_is_found_out(twin: str, fails: str, budget: Budget) -> None:
    assert explore(Ticks(budget), limit=200_000).broken == {}
    broken = Ticks(budget, Twin(**{twin: True}))
    assert fails in explore(broken, limit=200_000, until=fails).broken
