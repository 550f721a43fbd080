"""Explores an explicit-state model: every interleaving, shortest counterexample first."""

import gc
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from model.values import Value

S = TypeVar("S", bound=Hashable)

CAN_FINISH = "every reachable state can still finish without another fault"


class Step(Value, Generic[S], frozen=True):
    """One atomic action: its function name in the code, who did it, and the state after it."""

    action: str
    actor: str
    state: S
    note: str = ""
    fault: bool = False
    worker: int = 0  # the identity concerned, if there is one
    gen: int = 0  # the generation concerned, if there is one

    def __str__(self) -> str:
        """Return the step as it stands in a trace."""
        worker = f"w{self.worker}" if self.worker else ""
        gen = f"gen {self.gen}" if self.gen else ""
        about = ", ".join(part for part in (worker, gen, self.note) if part)
        return f"{self.actor}.{self.action}({about})"


class Model(Protocol[S]):
    """What the explorer must know of a protocol."""

    def initial(self) -> S:
        """Return the state before anything happened."""

    def steps(self, state: S) -> Iterable[Step[S]]:
        """Return every action enabled in the state."""

    def broken(self, before: S, step: Step[S]) -> Iterable[str]:
        """Return the names of the properties that the step breaks."""

    def finished(self, state: S) -> bool:
        """Return whether nothing remains to be done in the state."""


class StateLimitError(Exception):
    """The model has more states than the budget allows: nothing was proven."""


@dataclass(frozen=True, slots=True)
class Exploration:
    """What an exploration found: broken properties, each with a shortest trace."""

    states: int
    edges: int
    broken: dict[str, str]


class _Graph(Generic[S]):
    """The states seen so far, numbered in the order of their discovery."""

    def __init__(self, initial: S) -> None:
        self.states = [initial]
        self.numbers = {initial: 0}
        self.reached_by = [(0, "")]
        self.reached_from: list[list[int]] = [[]]
        self.edges = 0

    def add(self, source: int, step: Step[S]) -> None:
        self.edges += 1
        target = self.numbers.setdefault(step.state, len(self.states))
        if target == len(self.states):
            self.states.append(step.state)
            self.reached_by.append((source, str(step)))
            self.reached_from.append([])
        if not step.fault:
            self.reached_from[target].append(source)

    def trace(self, number: int) -> str:
        steps: list[str] = []
        while number:
            number, step = self.reached_by[number]
            steps.append(step)
        return " > ".join(reversed(steps))

    def first_that_cannot_reach(self, goals: set[int]) -> int | None:
        """Return the earliest state from which no faultless path leads to a goal."""
        frontier = list(goals)
        while frontier:
            for source in self.reached_from[frontier.pop()]:
                if source not in goals:
                    goals.add(source)
                    frontier.append(source)
        return next((number for number in range(len(self.states)) if number not in goals), None)


def explore(model: Model[S], *, limit: int, until: str | None = None) -> Exploration:
    """Visit every reachable state, or stop at the first step that breaks the property ``until``.

    Args:
        model: The protocol to explore.
        limit: The number of states beyond which the exploration fails.
        until: The property whose violation is looked for.

    Raises:
        StateLimitError: More than ``limit`` states are reachable.
    """
    with _no_garbage():
        return _explored(model, limit, until)


@contextmanager
def _no_garbage() -> Iterator[None]:
    """Spare the collector the growing graph: states hold no cycles, so it would find nothing."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _explored(model: Model[S], limit: int, until: str | None) -> Exploration:
    graph = _Graph(model.initial())
    broken: dict[str, str] = {}
    number = 0
    while number < len(graph.states):
        state = graph.states[number]
        for step in model.steps(state):
            graph.add(number, step)
            for name in model.broken(state, step):
                broken.setdefault(name, f"{graph.trace(number)} > {step}")
        if until in broken:
            return Exploration(len(graph.states), graph.edges, broken)
        if len(graph.states) > limit:
            raise StateLimitError(f"more than {limit} states; tighten the model's budgets")
        number += 1
    finished = {n for n, state in enumerate(graph.states) if model.finished(state)}
    stuck = graph.first_that_cannot_reach(finished)
    if stuck is not None:
        broken[CAN_FINISH] = graph.trace(stuck)
    return Exploration(len(graph.states), graph.edges, broken)
