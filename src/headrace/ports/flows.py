"""Flows as operators see them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol
from uuid import UUID

from headrace.model.flow import FlowCounts, FlowSeen
from headrace.model.inspection import Answer

Cancel = Callable[[Sequence[UUID], str, str], Awaitable[Mapping[UUID, Answer]]]
"""Cancels up to 500 jobs: their ids, who asked, why."""

_STEP = 500
_LOOKS = 4


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
        """Cancel all that is not over; answers as `Inspector.cancel` does.

        Raises:
            UnknownFlow: there is none with this id.
        """


async def cancel_all(
    look: Callable[[], Awaitable[FlowSeen]], cancel: Cancel, actor: str, reason: str
) -> Mapping[UUID, Answer]:
    """Cancel what is not over, the last ones first, and what came in between.

    What is blocked must not be let go by the end of what comes before it. A row that somebody else
    holds, and what a running job adds, is there when it looks again.
    """
    answers: dict[UUID, Answer] = {}
    for _ in range(_LOOKS):
        flow = await look()
        ids = [
            step.id
            for step in reversed(flow.steps)
            if not step.state.final and answers.get(step.id, Answer.BUSY) is Answer.BUSY
        ]
        for start in range(0, len(ids), _STEP):
            answers.update(await cancel(ids[start : start + _STEP], actor, reason))
        if not ids:
            break
    return answers
