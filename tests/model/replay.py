"""Replays the history of a real run in the model of direct mode, job by job.

Every event must be a step that the model can take. What the history does not tell (a claim's reply,
a judgement, the commit of a settle whose reply was lost) the model fills in as it needs.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from model.direct import Direct
from model.direct_state import Budget, State
from model.explorer import Step
from model.ledger import COMPLETE, DEAD, RETRY, SNOOZE
from model.properties import NO_OVERLAP, REFUSED

UNTOLD = frozenset({"claim", "receive", "judge", "reap", "beat", "release"})
TOLD = UNTOLD | {"insert", "start", "finish", "settle", "settle_in_transaction"}
ENDINGS = {"cancel": DEAD}  # as in the ledger, such a job never runs again

_Event = Mapping[str, Any]


class Misfit(NamedTuple):
    """The first event of a history that no run of the model explains."""

    position: int
    event: _Event


class _Told(NamedTuple):
    """An event without its names: workers are numbered as they appear."""

    action: str
    worker: int
    gen: int
    outcome: str
    accepted: bool | None


def replay(events: Sequence[_Event]) -> Misfit | None:
    """Return the first event that does not fit, or None if the model explains all.

    Args:
        events: In the order of the ledger's commits; a start where its fence was tested. Each has
            ``event`` (a function name of ``TOLD``) and ``job``, and where they make sense
            ``worker``, ``gen``, ``outcome`` and ``accepted``. A function of ``UNTOLD`` that occurs
            anywhere in the history is taken to be told completely.

    Raises:
        ValueError: An event is not in ``TOLD``.
    """
    untold = UNTOLD - {event["event"] for event in events}
    misfits = []
    for indices in _by_job(events).values():
        fitting = _fitting(tuple(_told(events, indices)), untold)
        if fitting < len(indices):
            misfits.append(Misfit(indices[fitting], events[indices[fitting]]))
    return min(misfits, key=lambda misfit: misfit.position, default=None)


def _by_job(events: Sequence[_Event]) -> dict[str, list[int]]:
    jobs: dict[str, list[int]] = {}
    for index, event in enumerate(events):
        if event["event"] not in TOLD:
            raise ValueError(
                f"event {index} is {event['event']!r}; the model knows {', '.join(sorted(TOLD))}"
            )
        jobs.setdefault(event["job"], []).append(index)
    return jobs


def _told(events: Sequence[_Event], indices: Iterable[int]) -> Iterator[_Told]:
    workers: dict[str, int] = {}
    for event in (events[index] for index in indices):
        name, outcome = event.get("worker"), event.get("outcome") or ""
        worker = workers.setdefault(name, len(workers) + 1) if name is not None else 0
        ending = ENDINGS.get(outcome, outcome)
        yield _Told(event["event"], worker, event.get("gen", 0), ending, event.get("accepted"))


@lru_cache(maxsize=4096)
def _fitting(told: tuple[_Told, ...], untold: frozenset[str]) -> int:
    """Return how many events the model explains, by the best of its runs."""
    search = _Search(told, untold)
    paths = [(0, search.model.initial())]
    seen = set(paths)
    best = 0
    while paths and best < len(told):
        for path in search.continued(*paths.pop()):
            if path not in seen:
                seen.add(path)
                paths.append(path)
                best = max(best, path[0])
    return best


class _Search:
    """Where a run of the model can go that is to explain what was told of one job."""

    def __init__(self, told: Sequence[_Told], untold: frozenset[str]) -> None:
        self._told = told
        self._untold = untold
        self._tokens = {event[:3] for event in told}
        # Who died before the answer to its settle was read may have been answered all the same.
        sent = [event for event in told if event.action == "finish"]
        self._tokens |= {("settle", event.worker, event.gen) for event in sent}
        # A worker that left no trace stands for all that claimed the job and did not start it.
        self._stranger = max(event.worker for event in told) + 1
        self.model = Direct(
            Budget(0, math.inf, math.inf, math.inf, math.inf),
            workers=self._stranger,
            max_attempts=10**9,
            outcomes=(COMPLETE, RETRY, SNOOZE, DEAD),
        )

    def continued(self, fitting: int, state: State) -> list[tuple[int, State]]:
        """Return what may come next: what is not told first, so that it is tried last."""
        told = self._told[fitting]
        highest_gen = _highest_gen(told, state)
        hidden, shown = [], []
        for step in self.model.steps(state):
            if set(self.model.broken(state, step)) - {NO_OVERLAP}:  # deaths are not told
                continue
            if not step.fault and step.actor != "late" and _is(step, told):
                shown.append((fitting + 1, step.state))
            elif self._is_hidden(step, state) and step.state.row.gen <= highest_gen:
                hidden.append((fitting, step.state))
        return hidden + shown

    def _is_hidden(self, step: Step[State], state: State) -> bool:
        """Whether this may happen now without being told, and could explain anything."""
        strange = step.worker == self._stranger
        if step.actor == "late" or (step.fault and step.action != "judge"):
            return step.action == "insert" or (step.action, step.worker, step.gen) in self._tokens
        if step.action not in self._untold:
            return False
        if step.action == "claim":
            return strange or ("start", step.worker, step.gen) in self._tokens
        if step.action == "release":
            return strange or "claim" not in self._untold
        return step.action == "receive" or (step.worker == state.row.owner and not strange)


def _highest_gen(told: _Told, state: State) -> int:
    """Return the generation that the row has at most before the event: more explains nothing."""
    if told.action == "start":
        return told.gen
    raised = told.action.startswith("settle") and not told.accepted
    return max(state.row.gen, told.gen + raised)


def _is(step: Step[State], event: _Told) -> bool:
    accepted = step.note != REFUSED
    return (
        step.action == event.action
        and event.worker in (0, step.worker)
        and event.gen in (0, step.gen)
        and (event.outcome in ("", step.note) or not accepted)
        and event.accepted in (None, accepted)
    )
