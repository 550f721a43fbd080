"""Unique keys keep their promises in every interleaving, and each rule is there for a reason."""

import pytest

from model.explorer import explore
from model.unique import ONCE, ONE_JOB, SEEN, Unique, UniqueTwin

SOUND = {
    "until done, three producers": Unique("done", producers=3),
    "until done, sent twice": Unique("done", sendings=2),
    "until started, three producers": Unique("started", producers=3),
    "until started, sent twice": Unique("started", sendings=2),
    "replaced, three producers": Unique("started", replaces=True, producers=3),
    "replaced, sent twice": Unique("started", replaces=True, sendings=2),
}
BROKEN = {
    "looks_before_the_lock": (Unique("done", producers=3), ONE_JOB),
    "answers_without_the_job": (Unique("started"), SEEN),
    "repeats_as_if_new": (Unique("started", replaces=True, sendings=2), SEEN),
    "replaces_again": (Unique("started", replaces=True, sendings=2), ONCE),
    "starts_unclaimed": (Unique("started"), SEEN),
    "runs_the_lanes_copy": (Unique("started", replaces=True), SEEN),
    "claims_what_is_locked": (Unique("started"), SEEN),
    "prunes_whatever_is_there": (Unique("done", producers=3), ONE_JOB),
}


@pytest.mark.parametrize("model", SOUND.values(), ids=SOUND)
def test_no_interleaving_breaks_a_property(model: Unique) -> None:
    found = explore(model, limit=400_000)

    assert found.broken == {}
    assert found.states > 100


@pytest.mark.parametrize("twin", BROKEN)
def test_a_broken_twin_fails(twin: str) -> None:
    model, fails = BROKEN[twin]
    twins = Unique(
        model.until, model.replaces, model.producers, model.sendings, UniqueTwin(**{twin: True})
    )

    assert fails in explore(twins, limit=400_000).broken
