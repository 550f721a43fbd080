"""Jobs in memory wait for no others: ordering keys are without effect, and flows are refused."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from headrace.errors import UsageError
from headrace.model.flow import FlowCounts, FlowSeen, Parent, Place
from headrace.model.inspection import Answer
from headrace.model.job import NewJob


def refuse_flows(jobs: Iterable[NewJob]) -> None:
    """Let all pass but jobs of a flow.

    Raises:
        UsageError: one comes after another one, or is of a flow.
    """
    for job in jobs:
        links = job.links
        if links is not None and (links.after or links.before or links.flow is not None):
            raise _refusal()


class NoLinks:
    """What no job in memory waits for."""

    async def parents(self, job_id: UUID) -> list[Parent]:
        """None."""
        del job_id
        return []

    async def place(self, job_id: UUID) -> Place:
        """Alone."""
        del job_id
        return Place((), None)


class NoFlows:
    """The flows that there cannot be."""

    async def list_flows(self, n: int, before: UUID | None = None) -> list[FlowCounts]:
        """None."""
        del n, before
        return []

    async def get(self, flow_id: UUID) -> FlowSeen:
        """Refused."""
        del flow_id
        raise _refusal()

    async def retry(self, flow_id: UUID, actor: str) -> list[UUID]:
        """Refused."""
        del flow_id, actor
        raise _refusal()

    async def cancel(self, flow_id: UUID, actor: str, reason: str = "") -> Mapping[UUID, Answer]:
        """Refused."""
        del flow_id, actor, reason
        raise _refusal()


def _refusal() -> UsageError:
    return UsageError("jobs in memory have no flows; test this with headrace_real")
