"""Pace: what is worth holding ahead of the slots."""

from headrace.worker.pace import Pace


class Slots:
    """Slots under the control of a test, watched by a pace."""

    def __init__(self) -> None:
        self.now = 0.0
        self.finished = 0
        self.pace = Pace(lambda: self.now)

    def work(self, seconds: float, rate: float) -> None:
        """Finish so many jobs a second for so long, looked at every 10 ms."""
        for _ in range(round(seconds / 0.01)):
            self.now += 0.01
            self.finished += round(rate * 0.01)
            self.pace.saw(self.finished)


def test_slow_slots_are_given_nothing_ahead() -> None:
    slots = Slots()
    assert (slots.pace.reach, slots.pace.low) == (0, 0)
    for _ in range(10):
        slots.now += 1.0
        slots.finished += 30
        slots.pace.saw(slots.finished)
    assert (slots.pace.reach, slots.pace.low) == (0, 0)


def test_fast_slots_are_given_a_few_milliseconds_of_work() -> None:
    slots = Slots()
    slots.work(0.2, rate=4_000)
    assert 95 <= slots.pace.reach <= 100
    assert 19 <= slots.pace.low <= 20


def test_no_slots_are_given_more_than_a_batch() -> None:
    slots = Slots()
    slots.work(0.2, rate=100_000)
    assert slots.pace.reach == 500


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
        slots.pace.saw(slots.finished)
    assert slots.pace.reach == before
