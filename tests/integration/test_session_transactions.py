"""ctx.transaction(session=...): a handler's own session commits with its completion."""

import asyncio

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from headrace import Cancel, Context, Headrace, JobDead, State
from headrace.ledger import transaction
from headrace.worker.worker import Worker


@pytest.fixture
async def engine(migrated_url: str) -> AsyncEngine:
    engine = create_async_engine(migrated_url.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE effect (note text)"))
    return engine


async def notes(engine: AsyncEngine) -> list[str]:
    async with engine.connect() as connection:
        found = await connection.execute(text("SELECT note FROM effect ORDER BY note"))
        return list(found.scalars())


@pytest.mark.parametrize(
    ("end", "state", "written"),
    [
        ("return", State.COMPLETED, ["return"]),
        ("raise", State.DEAD, []),
        ("cancel", State.CANCELLED, []),
        ("close", State.DEAD, []),
    ],
)
async def test_the_sessions_writes_commit_with_the_completion_or_not_at_all(
    app: Headrace, engine: AsyncEngine, end: str, state: State, written: list[str]
) -> None:
    @app.task(queue="q", max_attempts=1)
    async def write(ctx: Context, end: str) -> object:
        async with ctx.transaction(session=AsyncSession(engine)) as session:
            await session.execute(text("INSERT INTO effect VALUES (:note)"), {"note": end})
        if end == "raise":
            raise ValueError("after the block")
        if end == "close":
            await session.close()  # that loses the writes, so it must not complete
        return Cancel("not wanted") if end == "cancel" else None

    job = await write.enqueue(end)
    await Worker(app, {"q": 1}).run(burst=True)
    await job.refresh()
    assert job.state is state
    assert await notes(engine) == written
    if end == "close":
        with pytest.raises(JobDead, match="leave that to headrace"):
            await job.result("1s")
    await engine.dispose()


async def test_a_completion_that_has_to_wait_for_ever_fails_its_attempt(
    app: Headrace, engine: AsyncEngine, sql: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator's open transaction, say, has locked the job."""
    monkeypatch.setattr(transaction, "PATIENCE", 0.5)

    @app.task(queue="q", max_attempts=1)
    async def write(ctx: Context) -> None:
        async with ctx.transaction(session=AsyncSession(engine)) as session:
            await session.execute(text("INSERT INTO effect VALUES ('lost')"))
        await locking.start()
        await sql.execute("SELECT FROM headrace.job WHERE id = $1 FOR UPDATE", ctx.job_id)
        asyncio.get_running_loop().call_later(2.0, unlock.set)

    async def hold() -> None:
        await unlock.wait()
        await locking.rollback()

    locking, unlock = sql.transaction(), asyncio.Event()
    job = await write.enqueue()
    holding = asyncio.create_task(hold())
    await Worker(app, {"q": 1}).run(burst=True)
    await holding
    with pytest.raises(JobDead, match="the handler's transaction failed: PostgreSQL"):
        await job.result("1s")
    assert await notes(engine) == []
    await engine.dispose()
