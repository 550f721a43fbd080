"""ctx.transaction(session=...): a handler's own session commits with its completion."""

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from headrace import Cancel, Context, Headrace, JobDead, State
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
