"""The flow of the job that runs, as its handler sees it: `ctx.flow`."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any
from uuid import UUID

from headrace.errors import UsageError
from headrace.intake import checked, linked_job
from headrace.model.links import Links, Membership
from headrace.ports.engine import Engine
from headrace.task import JobSpec


class OwnFlow:
    """The flow of a job.

    Args:
        engine: where the job lives.
        job_id: the job.
        transaction: opens that of its handler.
    """

    def __init__(
        self,
        engine: Engine,
        job_id: UUID,
        transaction: Callable[[], AbstractAsyncContextManager[Any]],
    ) -> None:
        self._engine = engine
        self._job_id = job_id
        self._transaction = transaction

    async def add(self, *jobs: JobSpec[Any], name: str | None = None) -> list[UUID]:
        """Add jobs that run beside each other, before all that comes after this one.

        They are written in `ctx.transaction()`: they are there once this job is completed by this
        attempt, and else never. What waits for this job waits for them, too, and their failure
        means to it what that of this job does.

        Args:
            jobs: made by `task.job(...)`.
            name: what they are called in the flow; each by its task where it is not given.

        Returns:
            Their ids.

        Raises:
            UsageError: a job was refused, has an ordering key or is unique, or the handler runs in
                a thread.
        """
        for spec in jobs:
            checked(spec, "ctx.flow.add", "await ctx.flow.add(task.job(1), task.job(2))")
            if spec.settings.unique is not None or spec.settings.order_key is not None:
                raise UsageError(
                    f"a job of {spec.task.name} that others wait for is unique or has an ordering "
                    "key: it might wait for one of them; leave that out"
                )
        async with self._transaction() as tx:
            place = await self._engine.links.place(self._job_id)
            new = []
            for spec in jobs:
                flow = place.flow and Membership(*place.flow, name or spec.task.name)
                links = Links(before=place.children, flow=flow)
                new.append(linked_job(self._engine.new_id(), spec, links))
            return [one.id for one in await self._engine.insert(new, tx)]
