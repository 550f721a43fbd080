"""Direct mode: an idle worker hears of new jobs, and looks for itself where it cannot."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import asyncpg
import pytest

from headrace import Context, Headrace, Retry, Snooze
from headrace.engines.ledgered import LedgeredEngine
from headrace.worker import fetcher, lookout
from headrace.worker.worker import Worker
from integration.served import until

QUEUE = "quiet"
LISTENING = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'headrace listening'
  AND query ILIKE 'LISTEN%' AND state = 'idle'
"""


@pytest.fixture
def never_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fetchers that look for jobs at the start, and then only if they are woken."""
    monkeypatch.setattr(fetcher, "_SHORTEST", 600.0)
    monkeypatch.setattr(fetcher, "_LONGEST", 600.0)
    monkeypatch.setattr(lookout, "_EVERY", 600.0)


@asynccontextmanager
async def idling(app: Headrace) -> AsyncIterator[Callable[[int], "asyncio.Future[int]"]]:
    @app.task(queue=QUEUE)
    async def double(number: int) -> int:
        return 2 * number

    async def doubled(number: int) -> int:
        return await (await double.enqueue(number)).result(timeout="20s")

    worker = Worker(app, {QUEUE: 1})
    await worker.start()
    try:
        yield lambda number: asyncio.ensure_future(doubled(number))
    finally:
        await worker.stop()


async def listener(sql: asyncpg.Connection, *, other_than: int = 0) -> int:
    """The backend that listens for the worker."""
    found: list[int] = []

    async def there() -> bool:
        found[:] = [row["pid"] for row in await sql.fetch(LISTENING) if row["pid"] != other_than]
        return bool(found)

    await until(there)
    (pid,) = found
    return pid


@pytest.mark.usefixtures("never_looking")
async def test_an_idle_worker_hears_of_a_job(app: Headrace, sql: asyncpg.Connection) -> None:
    async with idling(app) as double:
        await listener(sql)
        for number in range(3):
            assert await double(number) == 2 * number


@pytest.mark.usefixtures("never_looking")
async def test_a_worker_that_was_cut_off_listens_again(
    app: Headrace, sql: asyncpg.Connection
) -> None:
    async with idling(app) as double:
        first = await listener(sql)
        await sql.execute("SELECT pg_terminate_backend($1)", first)
        await listener(sql, other_than=first)
        assert await double(21) == 42


@pytest.mark.usefixtures("never_looking")
@pytest.mark.parametrize("again", [Snooze("20ms"), Retry(after="20ms")], ids=["snooze", "retry"])
async def test_a_worker_knows_when_its_own_job_is_due_again(
    app: Headrace, again: Snooze | Retry
) -> None:
    runs = 0

    @app.task(queue=QUEUE, max_attempts=9)
    async def hesitate(ctx: Context) -> int:
        nonlocal runs
        runs += 1
        if runs < 5:
            raise again
        return ctx.attempt

    worker = Worker(app, {QUEUE: 1})
    await worker.start()
    try:
        await (await hesitate.enqueue()).result(timeout="10s")
    finally:
        await worker.stop()


async def test_who_may_not_listen_looks_for_itself(
    migrated_url: str, sql: asyncpg.Connection
) -> None:
    app = Headrace("tests", database_url=migrated_url, listen=False)
    async with app, idling(app) as double:
        assert await double(21) == 42
        assert not await sql.fetch(LISTENING)


async def test_a_bell_that_is_rung_all_the_time_tells_less_and_less_often(
    app: Headrace, sql: asyncpg.Connection
) -> None:
    heard: list[object] = []

    @app.task(queue=QUEUE)
    async def nothing() -> None: ...

    await sql.add_listener("headrace", lambda *notice: heard.append(notice[3]))
    await nothing.enqueue()
    assert isinstance(app.engine, LedgeredEngine)
    loop = asyncio.get_running_loop()
    began = loop.time()
    while loop.time() - began < 0.3:
        app.engine.ledger.bell.ring([QUEUE])
        await asyncio.sleep(0)
    await until(lambda: heard)
    assert set(heard) == {QUEUE}
    pauses = 5  # of 2 to 32 ms, before those of 50 ms
    assert len(heard) <= 2 + pauses + 0.3 / 0.05


async def test_jobs_for_later_ring_no_bell(app: Headrace, sql: asyncpg.Connection) -> None:
    heard: list[object] = []

    @app.task(queue=QUEUE)
    async def nothing() -> None: ...

    @app.task(queue="other")
    async def now() -> None: ...

    await sql.add_listener("headrace", lambda *notice: heard.append(notice[3]))
    await nothing.options(delay="1h").enqueue()
    await now.enqueue()
    await until(lambda: heard)
    assert heard == ["other"]
