"""Flows as operators see them, on PostgreSQL."""

from collections.abc import Mapping
from functools import partial
from uuid import UUID

from headrace.errors import UnknownFlow
from headrace.ledger.queries import Queries
from headrace.ledger.rows import Row
from headrace.model.flow import FlowCounts, FlowSeen, StepSeen
from headrace.model.inspection import Answer
from headrace.model.state import State, Stored, derive_state
from headrace.ports.flows import Cancel, cancel_all


class PostgresFlows:
    """The ledger alone: a job runs for it when its row has an owner.

    Args:
        queries: the ledger.
        cancel: what cancels jobs.
    """

    def __init__(self, queries: Queries, cancel: Cancel) -> None:
        self._queries = queries
        self._cancel = cancel

    async def list_flows(self, n: int, before: UUID | None = None) -> list[FlowCounts]:
        """Up to `n` flows, newest first, from before one of them on."""
        return [FlowCounts(**dict(row)) for row in await self._queries.fetch("flows", n, before)]

    async def get(self, flow_id: UUID) -> FlowSeen:
        """One flow.

        Raises:
            UnknownFlow: there is none with this id.
        """
        rows = await self._queries.fetch("flow", flow_id)
        if not rows:
            raise UnknownFlow(
                f"there is no flow {flow_id}; it was never committed, or all its jobs were deleted"
            )
        steps = tuple(_step(row) for row in rows if row["id"] is not None)
        return FlowSeen(id=flow_id, name=rows[0]["flow"], steps=steps)

    async def retry(self, flow_id: UUID, actor: str) -> list[UUID]:
        """Let what is dead or cancelled come again, each after its parents; returns what does.

        Raises:
            UnknownFlow: there is none with this id.
        """
        rows = await self._queries.fetch("retry_flow", flow_id, actor)
        if not rows:
            await self.get(flow_id)
        return [row["id"] for row in rows]

    async def cancel(self, flow_id: UUID, actor: str, reason: str = "") -> Mapping[UUID, Answer]:
        """Cancel all that is not over.

        Raises:
            UnknownFlow: there is none with this id.
        """
        return await cancel_all(partial(self.get, flow_id), self._cancel, actor, reason)


def _step(row: Row) -> StepSeen:
    gone = row["task"] is None
    return StepSeen(
        id=row["id"],
        step=row["step"],
        task=row["task"] or "",
        state=State.COMPLETED
        if gone
        else derive_state(
            row["state"],
            run_at=row["run_at"],
            now=row["now"],
            failures=row["failures"],
            running=row["state"] == Stored.LIVE and row["owner"] is not None,
        ),
        gen=row["gen"] or 0,
        after=tuple(row["after"]),
    )
