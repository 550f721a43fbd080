"""The explorer finds what is broken, what is stuck, and refuses to guess."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from model.explorer import CAN_FINISH, Step, explore

TOO_FAR = "the counter stays below the edge"


@dataclass(frozen=True)
class Counter:
    """Counts up to a goal; past the edge it falls, and a fault may take it to a dead end."""

    goal: int
    edge: int = 100
    dead_end: int | None = None
    way_back_is_a_fault: bool = True

    def initial(self) -> int:
        return 0

    def steps(self, state: int) -> Iterator[Step[int]]:
        if 0 <= state < self.goal:
            yield Step("up", "counter", state + 1)
        if state == self.dead_end:
            yield Step("fall", "counter", -1)
        if state == -1:
            yield Step("climb", "counter", 0, fault=self.way_back_is_a_fault)

    def broken(self, before: int, step: Step[int]) -> Iterator[str]:
        if before < self.edge <= step.state:
            yield TOO_FAR

    def finished(self, state: int) -> bool:
        return state == self.goal


def test_every_state_of_a_sound_model_is_visited() -> None:
    found = explore(Counter(goal=5), limit=10)

    assert (found.states, found.edges, found.broken) == (6, 5, {})


def test_a_violation_comes_with_its_shortest_trace() -> None:
    found = explore(Counter(goal=5, edge=2), limit=10)

    assert found.broken == {TOO_FAR: "counter.up() > counter.up()"}


def test_a_state_that_only_another_fault_can_leave_is_stuck() -> None:
    found = explore(Counter(goal=5, dead_end=1), limit=10)

    assert found.broken == {CAN_FINISH: "counter.up() > counter.fall()"}


def test_a_state_with_a_faultless_way_out_is_not_stuck() -> None:
    found = explore(Counter(goal=5, dead_end=1, way_back_is_a_fault=False), limit=10)

    assert not found.broken


def test_too_many_states_are_an_error_and_not_a_proof() -> None:
    with pytest.raises(Exception, match="more than 4 states"):
        explore(Counter(goal=5), limit=4)
