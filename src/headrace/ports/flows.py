"""Flows as operators see them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol
from uuid import UUID

from headrace.model.flow import FlowCounts, FlowSeen
from headrace.model.inspection import Answer

Cancel = Callable[[Sequence[UUID], str, str], Awaitable[Mapping[UUID, Answer]]]
"""Cancels up to 500 jobs: their ids, who asked, why."""

_STEP = 500


class Flows(Protocol):
    """Jobs that were enqueued as one graph."""

    async def list_flows(self, n: int, before: UUID | None = None) -> list[FlowCounts]:
        """Up to `n` flows, newest first, from before one of them on."""

    async def get(self, flow_id: UUID) -> FlowSeen:
        """One flow.

        Raises:
            UnknownFlow: there is none with this id.
        """

    async def retry(self, flow_id: UUID, actor: str) -> list[UUID]:
        """Let what is dead or cancelled come again, each after its parents; returns what does.

        Raises:
            UnknownFlow: there is none with this id.
        """

    async def cancel(self, flow_id: UUID, actor: str, reason: str = "") -> Mapping[UUID, Answer]:
        """Cancel all that is not over, the last ones first; answers as `Inspector.cancel` does.

        Raises:
            UnknownFlow: there is none with this id.
        """


async def cancel_all(
    flow: FlowSeen, cancel: Cancel, actor: str, reason: str
) -> Mapping[UUID, Answer]:
    """Cancel what is not over, the last ones first.

    What is blocked must not be let go by the end of what comes before it.
    """
    ids = [step.id for step in reversed(flow.steps) if not step.state.final]
    answers: dict[UUID, Answer] = {}
    for start in range(0, len(ids), _STEP):
        answers.update(await cancel(ids[start : start + _STEP], actor, reason))
    return answers
