"""What a handler leaves behind stays with it: context variables, and what it started."""

import asyncio
import contextvars

import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from headrace import Context, Headrace, JobDead, UsageError
from headrace.worker.worker import Worker

tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="nobody")


async def test_what_a_handler_sets_does_not_reach_the_next_job_of_its_slot(app: Headrace) -> None:
    @app.task(queue="q")
    async def serve(name: str) -> list[str]:
        found = tenant.get()
        tenant.set(name)
        await asyncio.sleep(0)
        kept = tenant.get()
        inherited = await asyncio.create_task(see())
        return [found, kept, inherited]

    async def see() -> str:
        return tenant.get()

    jobs = [await serve.enqueue(name) for name in ("ann", "bob")]
    await Worker(app, {"q": 1}).run(burst=True)
    assert [await job.result("1s") for job in jobs] == [
        ["nobody", "ann", "ann"],
        ["nobody", "bob", "bob"],
    ]


async def test_what_a_handler_set_is_there_when_its_writes_are_committed(
    app: Headrace, migrated_url: str
) -> None:
    engine = create_async_engine(migrated_url.replace("postgresql://", "postgresql+asyncpg://"))
    seen: list[str] = []

    @app.task(queue="q")
    async def write(ctx: Context) -> None:
        tenant.set("ann")
        async with ctx.transaction(session=AsyncSession(engine)) as session:
            event.listen(session.sync_session, "before_commit", lambda _: seen.append(tenant.get()))
            await session.execute(text("SELECT 1"))

    await write.enqueue()
    await Worker(app, {"q": 1}).run(burst=True)
    assert set(seen) == {"ann"}
    await engine.dispose()


async def test_a_handler_is_told_of_errors_and_ends_as_if_it_were_awaited_plainly(
    app: Headrace,
) -> None:
    @app.task(queue="q", max_attempts=1)
    async def catch() -> list[str]:
        caught = []
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            caught.append("timeout")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(fail())
                await asyncio.Event().wait()
        except* ZeroDivisionError:
            caught.append("group")
        return caught

    async def fail() -> None:
        raise ZeroDivisionError

    job = await catch.enqueue()
    await Worker(app, {"q": 1}).run(burst=True)
    assert await job.result("1s") == ["timeout", "group"]


@pytest.mark.parametrize("opened", [True, False])
async def test_what_a_handler_left_running_opens_no_transaction(
    app: Headrace, *, opened: bool
) -> None:
    over = asyncio.Event()
    left: list[asyncio.Task[None]] = []

    @app.task(queue="q", max_attempts=1)
    async def leave(ctx: Context) -> None:
        if opened:
            async with ctx.transaction():
                pass
        left.append(asyncio.create_task(linger(ctx)))
        raise ZeroDivisionError

    async def linger(ctx: Context) -> None:
        await over.wait()
        async with ctx.transaction():
            raise AssertionError

    job = await leave.enqueue()
    await Worker(app, {"q": 1}).run(burst=True)
    with pytest.raises(JobDead, match="ZeroDivisionError"):
        await job.result("1s")
    over.set()
    with pytest.raises(UsageError, match="was called after its handler had returned"):
        await left[0]
