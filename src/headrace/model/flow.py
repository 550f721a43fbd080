"""Flows as people and handlers see them."""

import json
from collections import Counter
from datetime import datetime
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import msgspec

from headrace.model.links import Link
from headrace.model.made_at import made_at
from headrace.model.state import State

T = TypeVar("T")


class StepSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A job of a flow.

    Attributes:
        id: of the job.
        step: what it is called in its flow.
        task: of which it is; "" where the job was deleted.
        state: of the job; COMPLETED where it was deleted after its retention.
        gen: as in `Job`.
        after: the ids of the jobs that it came after.
    """

    id: UUID
    step: str
    task: str
    state: State
    gen: int
    after: tuple[UUID, ...]


class FlowSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A flow as the ledger shows it.

    Attributes:
        id: of the flow.
        name: what it was called, or "".
        steps: its jobs, in the order in which they were put there.
    """

    id: UUID
    name: str
    steps: tuple[StepSeen, ...]

    @property
    def created_at(self) -> datetime:
        """When it was made, by PostgreSQL's clock."""
        return made_at(self.id)

    @property
    def counts(self) -> dict[State, int]:
        """How many of its jobs are how."""
        return dict(Counter(step.state for step in self.steps))

    @property
    def over(self) -> bool:
        """Whether nothing of it runs any more, or will."""
        return all(step.state.final for step in self.steps)

    @property
    def succeeded(self) -> bool:
        """Whether all of it is completed."""
        return all(step.state is State.COMPLETED for step in self.steps)


class FlowCounts(msgspec.Struct, frozen=True, kw_only=True):
    """A flow, and how many of its jobs are how."""

    id: UUID
    name: str
    live: int
    blocked: int
    completed: int
    dead: int
    cancelled: int


class Parent(msgspec.Struct, frozen=True, kw_only=True):
    """A job that another one came after.

    Attributes:
        id: of the job.
        step: what it is called in its flow, or its task.
        task: of which it is.
        state: of the job.
        raw: its result as JSON, or None.
        error: why it failed, if it did: `type` and `message`.
    """

    id: UUID
    step: str
    task: str
    state: State
    raw: str | None
    error: dict[str, object] | None

    @property
    def result(self) -> Any:  # noqa: ANN401 - what its task returned
        """What its task returned, as plain JSON; None where nothing was, or it failed."""
        return None if self.raw is None else json.loads(self.raw)

    def result_as(self, kind: type[T]) -> T:
        """What its task returned, read as a type: a dataclass, a model of msgspec, a datetime.

        Raises:
            msgspec.ValidationError: it is something else.
        """
        return msgspec.json.decode(self.raw or "null", type=kind)


class Place(NamedTuple):
    """Where a job stands among others.

    Attributes:
        children: the jobs that wait for it, each with what its failure means to it.
        flow: the id and the name of its flow, or None.
    """

    children: tuple[Link, ...]
    flow: tuple[UUID, str] | None
