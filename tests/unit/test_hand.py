from uuid import UUID, uuid4

import msgspec

from headrace.model.job import Beat, Delivery
from headrace.model.lane_view import LaneView, Mode
from headrace.model.promise import Promises
from headrace.worker.hand import Hand


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def delivery(job: UUID | None = None, gen: int = 2, call: int = 1) -> Delivery:
    return Delivery(
        id=job or uuid4(),
        gen=gen,
        queue="q",
        task="t",
        payload=b"{}",
        priority=5,
        failures=0,
        crashes=0,
        max_attempts=3,
        call=call,
    )


def make() -> tuple[Hand, Clock]:
    clock = Clock()
    return Hand(uuid4(), clock.now, lease=15.0, clock=clock), clock


def test_what_is_booked_may_start_once_the_lease_is_fresh() -> None:
    hand, clock = make()
    one, two, three = delivery(), delivery(), delivery()
    hand.book(hand.open_call(), [one, two, three])
    assert hand.start(one)
    clock.now += 12.5  # the lease of 15 s less the margin of 3 s is over
    assert hand.silent
    assert not hand.start(two)
    hand.beaten(Beat(alive=True), sent=clock.now - 11.0)
    assert not hand.silent
    assert hand.start(three)


def test_what_runs_is_not_started_again_and_stays_named() -> None:
    hand, _ = make()
    one = delivery(call=1)
    hand.book(hand.open_call(), [one])
    assert hand.start(one)
    again = delivery(one.id, one.gen, call=2)
    hand.book(hand.open_call(), [again])
    assert not hand.start(again)
    assert hand.names() == ([again], 2, None)
    hand.close([one])
    assert hand.names() == ([], 2, None)


def test_what_was_refused_is_no_longer_named_even_if_a_beat_was_under_way() -> None:
    hand, clock = make()
    one = delivery()
    hand.book(hand.open_call(), [one])
    sent = clock.now + 11.5
    clock.now += 12.5
    assert not hand.start(one)
    hand.beaten(Beat(alive=True), sent=sent)
    assert hand.names() == ([], 1, None)


def test_a_beat_sent_too_late_voids_what_has_not_started() -> None:
    hand, clock = make()
    started, waiting = delivery(), delivery()
    hand.book(hand.open_call(), [started, waiting])
    assert hand.start(started)
    clock.now += 13.0
    hand.beaten(Beat(alive=True), sent=clock.now)
    assert not hand.start(waiting)
    assert [one.token for one in hand.names()[0]] == [started.token]


def test_answered_stops_before_the_oldest_call_in_flight() -> None:
    hand, _ = make()
    first, second, third = hand.open_call(), hand.open_call(), hand.open_call()
    hand.book(second, [])
    assert hand.names()[1] == first - 1
    hand.give_up(first)
    assert hand.names()[1] == second
    hand.book(third, [])
    assert hand.names()[1] == third


def test_a_forgone_call_counts_as_answered_and_its_reply_is_void() -> None:
    hand, _ = make()
    held, late, fresh = delivery(), delivery(), delivery()
    assert hand.book(hand.open_call(), [held])
    call = hand.open_call()
    hand.forgo()
    assert hand.names() == ([held], call, None)
    assert not hand.book(call, [late])
    assert not hand.start(late)
    hand.close([held])
    assert not hand.empty  # a burst waits until the late reply is given back
    hand.give_up(call)
    assert hand.empty
    assert hand.book(hand.open_call(), [fresh])
    assert hand.start(fresh)


def test_a_lost_delivery_is_not_started_but_one_of_a_newer_generation_is() -> None:
    hand, _ = make()
    job = uuid4()
    old, new = delivery(job, gen=2), delivery(job, gen=4)
    hand.book(hand.open_call(), [old])
    hand.book(hand.open_call(), [new])
    hand.beaten(Beat(alive=True, lost=frozenset({old.token})), sent=101.0)
    assert not hand.start(old)
    assert hand.start(new)


def test_a_refused_beat_voids_the_identity() -> None:
    hand, _ = make()
    started, waiting = delivery(), delivery()
    hand.book(hand.open_call(), [started, waiting])
    assert hand.start(started)
    hand.beaten(Beat(alive=False), sent=101.0)
    assert hand.void
    assert not hand.start(waiting)
    late = delivery()
    hand.book(hand.open_call(), [late])
    assert not hand.start(late)


def test_unstarted_are_handed_over_for_release_once() -> None:
    hand, _ = make()
    started, waiting = delivery(), delivery()
    hand.book(hand.open_call(), [started, waiting])
    assert hand.start(started)
    assert hand.unstarted() == [waiting]
    assert hand.unstarted() == []
    assert not hand.start(waiting)


def test_of_a_job_that_went_back_and_came_again_only_the_later_copy_starts() -> None:
    hand, _ = make()
    job = uuid4()
    old, new = delivery(job, call=1), delivery(job, call=2)
    hand.book(hand.open_call(), [old])
    assert hand.unstarted() == [old]  # it still waits for a slot
    hand.book(hand.open_call(), [new])
    assert not hand.start(old)
    assert hand.start(new)


def test_what_a_lane_gave_under_another_epoch_is_not_booked() -> None:
    """The beats have told of all that is held; what comes later would be held untold."""
    hand, _ = make()
    early, late, owned, now = delivery(), delivery(), delivery(), delivery()
    assert hand.book(hand.open_call(), [early], 1)  # no beat has told of any epoch yet
    hand.beaten(Beat(alive=True, view=LaneView(2, Mode.DIRECT)), sent=101.0)
    assert hand.names() == ([early], 1, 2)
    assert not hand.book(hand.open_call(), [late], 1)
    assert not hand.start(late)
    assert hand.book(hand.open_call(), [owned], None)  # the ledger gave it, and knows
    assert hand.book(hand.open_call(), [now], 2)
    assert hand.start(owned)
    assert hand.start(now)
    newer = delivery()  # the loop may hear of a new epoch before the next beat
    assert hand.book(hand.open_call(), [newer], 3)
    assert hand.start(newer)


def test_of_a_queue_that_became_strict_only_what_the_ledger_knows_of_starts() -> None:
    hand, clock = make()
    before, untold, owned = delivery(), delivery(), delivery()
    untold = msgspec.structs.replace(untold, owned=False)
    before = msgspec.structs.replace(before, owned=False)
    hand.book(hand.open_call(), [before, untold, owned], 1)
    assert hand.start(before)
    strict = Promises(strict=frozenset({untold.queue}))
    hand.beaten(Beat(alive=True, view=LaneView(1, Mode.HYBRID, promises=strict)), sent=clock.now)
    assert not hand.start(untold)
    assert hand.start(owned)
    assert hand.names()[0] == [before, owned]  # the next beat gives the other one back
