"""What a job waits for: its turn under an ordering key, and the ends of others."""

from typing import Any, Literal, Self, get_args
from uuid import UUID

import msgspec

from headrace.errors import UsageError
from headrace.model.shown import shown

OnDead = Literal["block", "skip"]
"""What a dead job means to those behind it: "block", they wait until it is replayed or deleted."""

OnFailure = Literal["fail", "ignore", "wait"]
"""What a parent that does not complete means to its child: it is cancelled, runs, or waits on."""


class Link(msgspec.Struct, frozen=True):
    """Another job, and what its failure, or to it a failure here, means."""

    id: UUID
    on_failure: OnFailure = "fail"


class Membership(msgspec.Struct, frozen=True):
    """The flow that a job is of, and what it is called there."""

    id: UUID
    name: str
    step: str


class Links(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a job waits for, and what waits for it.

    Attributes:
        order_key: jobs of a tenant and queue with the same one run one after the other.
        on_dead: what its death means to those behind it.
        after: the jobs before it.
        before: jobs that wait already, and shall wait for this one, too.
        flow: the flow that it is of.
    """

    order_key: str | None = None
    on_dead: OnDead = "block"
    after: tuple[Link, ...] = ()
    before: tuple[Link, ...] = ()
    flow: Membership | None = None

    @classmethod
    def of(cls, document: object) -> Self:
        """What was made a document of."""
        return msgspec.convert(document, cls)

    def document(self) -> dict[str, Any]:
        """As headrace.add_jobs takes it, beside the rest of the job."""
        said: dict[str, Any] = msgspec.to_builtins(self)
        return said


def check_on_dead(value: object) -> OnDead:
    """Return what was given as `on_dead=`.

    Raises:
        UsageError: it is something else.
    """
    for known in get_args(OnDead):
        if value == known:
            return known  # type: ignore[no-any-return] # one of them
    raise UsageError(f'on_dead={shown(value)} is unknown; write "block" or "skip"')


def check_on_failure(value: object) -> OnFailure:
    """Return what was given as `on_failure=`.

    Raises:
        UsageError: it is something else.
    """
    for known in get_args(OnFailure):
        if value == known:
            return known  # type: ignore[no-any-return] # one of them
    raise UsageError(f'on_failure={shown(value)} is unknown; write "fail", "ignore" or "wait"')
