"""What tests of concurrency limits say and do."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from headrace.model.concurrency import ConcurrencyLimit, LineRule, LinesSaid
from headrace.model.job import Delivery
from headrace.testing.engines.rig import OTHER, QUEUE, TASK, Rig, completion


async def narrow(
    rig: Rig,
    width: int,
    *,
    key: str | None = None,
    task: str | None = TASK,
    queue: str | None = None,
    defaults: dict[str, Any] | None = None,
) -> None:
    """Let a task, a queue or both be under the limit "narrow"."""
    limit = ConcurrencyLimit("narrow", width, key=key)
    rules = [LineRule.of(limit, task=task)] if task else []
    rules += [LineRule.of(limit, queue=queue)] if queue else []
    await rig.engine.limiter.seats.declare(
        LinesSaid(
            limits={limit.name: width},
            tasks=(TASK,),
            queues=(QUEUE, OTHER),
            rules=tuple(rules),
            defaults={TASK: defaults or {}},
        )
    )


async def say_limits(rig: Rig, limits: Sequence[ConcurrencyLimit]) -> None:
    """Let the task be under these."""
    await rig.engine.limiter.seats.declare(
        LinesSaid(
            limits={one.name: one.width for one in limits},
            tasks=(TASK,),
            rules=tuple(LineRule.of(one, task=TASK) for one in limits),
        )
    )


async def add_jobs(rig: Rig, n: int, **fields: Any) -> list[UUID]:  # noqa: ANN401 - as in Rig.job
    """Insert jobs that need seats."""
    jobs = [rig.job(**fields) for _ in range(n)]
    inserted = await rig.engine.insert(jobs)
    assert all(one.blocked and one.seated for one in inserted)
    return [job.id for job in jobs]


async def now_live(rig: Rig, worker: UUID | None = None, queue: str = QUEUE) -> list[Delivery]:
    """What may run once all that happened was looked at, in the order in which it came."""
    await rig.engine.unblock()  # type: ignore[attr-defined] # of engines with a ledger
    return sorted(await rig.take(worker=worker, queue=queue), key=lambda one: one.id)


async def run_all(rig: Rig) -> list[UUID]:
    """Complete whatever may run, one batch after the other; the order in which they ran."""
    ran: list[UUID] = []
    while taken := await now_live(rig):
        ran += [one.id for one in taken]
        await rig.settle(*map(completion, taken))
    return ran
