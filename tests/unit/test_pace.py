"""Pace: what is worth holding ahead of the slots."""

from headrace.worker.pace import Pace

SLOTS = 10


class Slots:
    """Slots under the control of a test, watched by a pace."""

    def __init__(self) -> None:
        self.now = 0.0
        self.busy = 0.0
        self.finished = 0.0
        self.pace = Pace(lambda: self.now)

    def work(self, seconds: float, rate: float, *, starving: float = 0.0) -> None:
        """Be able to finish so many jobs a second, looked at every 10 ms; starve a share of it."""
        for _ in range(round(seconds / 0.01)):
            self.now += 0.01
            self.busy += 0.01 * SLOTS * (1 - starving)
            self.finished += rate * 0.01 * (1 - starving)
            self.pace.saw(int(self.finished), self.busy, SLOTS)


def test_slow_slots_are_given_nothing_ahead() -> None:
    slots = Slots()
    assert (slots.pace.reach, slots.pace.low) == (0, 0)
    slots.work(3.0, rate=30)
    assert (slots.pace.reach, slots.pace.low) == (0, 0)


def test_fast_slots_are_given_a_few_milliseconds_of_work() -> None:
    slots = Slots()
    slots.work(0.2, rate=4_000)
    assert 95 <= slots.pace.reach <= 100
    assert 19 <= slots.pace.low <= 20


def test_slots_that_starve_are_not_slow() -> None:
    """A take from a far server lasts, and ten slots finish ten jobs while they wait for it."""
    slots = Slots()
    slots.work(1.0, rate=4_000, starving=0.9)
    assert slots.pace.reach >= 90


def test_the_longer_a_take_lasts_the_further_it_reaches() -> None:
    slots = Slots()
    slots.work(0.2, rate=1_000)
    near = slots.pace.reach, slots.pace.low
    for _ in range(20):
        slots.pace.took(0.05)
    far = slots.pace.reach, slots.pace.low
    assert near == (24, 4)
    assert 95 <= far[0] <= 100
    assert 45 <= far[1] <= 50
    for _ in range(20):
        slots.pace.took(10.0)
    assert slots.pace.reach <= 500


def test_no_slots_are_given_more_than_a_batch() -> None:
    slots = Slots()
    slots.work(0.2, rate=100_000)
    assert (slots.pace.reach, slots.pace.low) == (500, 250)


def test_slots_that_become_slow_hold_too_much_within_a_moment() -> None:
    slots = Slots()
    slots.work(0.2, rate=4_000)
    assert not slots.pace.too_much(200)
    slots.work(0.1, rate=0)
    assert slots.pace.too_much(200)
    assert slots.pace.reach == 0
    slots.work(1.0, rate=0)
    assert slots.pace.too_much(1)


def test_looks_that_follow_each_other_at_once_tell_nothing() -> None:
    slots = Slots()
    slots.work(0.2, rate=4_000)
    before = slots.pace.reach
    for _ in range(100):
        slots.now += 0.000_001
        slots.busy += 0.000_01
        slots.pace.saw(int(slots.finished), slots.busy, SLOTS)
    assert slots.pace.reach == before
