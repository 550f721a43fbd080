"""Flows where a lane may give out the jobs."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from uuid import UUID

from msgspec.structs import replace

from headrace.model.flow import FlowCounts, FlowSeen
from headrace.model.inspection import Answer
from headrace.model.state import State
from headrace.ports.flows import Cancel, Flows, cancel_all

_STEP = 500


class LaneFlows:
    """The flows of an inspector whose word reaches the lane as well.

    Args:
        kept: the flows in the ledger.
        cancel: cancels up to 500 jobs.
        flag: lets the lane ask the ledger before it gives out any of these jobs.
        running: which of these jobs, that the ledger calls available, the lane has given out.
    """

    def __init__(
        self,
        kept: Flows,
        cancel: Cancel,
        flag: Callable[[Sequence[UUID]], Awaitable[None]],
        running: Callable[[Mapping[UUID, int]], Awaitable[set[UUID]]],
    ) -> None:
        self._kept = kept
        self._cancel = cancel
        self._flag = flag
        self._running = running

    async def list_flows(self, n: int, before: UUID | None = None) -> list[FlowCounts]:
        """Up to `n` flows, newest first, from before one of them on."""
        return await self._kept.list_flows(n, before)

    async def get(self, flow_id: UUID) -> FlowSeen:
        """One flow; what the lane has given out is running.

        Raises:
            UnknownFlow: there is none with this id.
        """
        flow = await self._kept.get(flow_id)
        waiting = {step.id: step.gen for step in flow.steps if step.state is State.AVAILABLE}
        running = await self._running(waiting) if waiting else set[UUID]()
        steps = tuple(
            replace(step, state=State.RUNNING) if step.id in running else step
            for step in flow.steps
        )
        return replace(flow, steps=steps)

    async def cancel(self, flow_id: UUID, actor: str, reason: str = "") -> Mapping[UUID, Answer]:
        """Cancel all that is not over.

        Raises:
            UnknownFlow: there is none with this id.
        """
        return await cancel_all(partial(self._kept.get, flow_id), self._cancel, actor, reason)

    async def retry(self, flow_id: UUID, actor: str) -> list[UUID]:
        """Let what is dead or cancelled come again.

        All of it at once, so that nothing fails with what is about to come again, too. A lane that
        carries what was cancelled while it was away must ask before it gives that out (A7).

        Raises:
            UnknownFlow: there is none with this id.
        """
        flow = await self._kept.get(flow_id)
        over = [step.id for step in flow.steps if step.state in (State.DEAD, State.CANCELLED)]
        for start in range(0, len(over), _STEP):
            await self._flag(over[start : start + _STEP])
        return await self._kept.retry(flow_id, actor)
