"""A worker whose ledger goes away, whose identity is voided, or whose heartbeat breaks."""

import asyncio
from collections.abc import AsyncIterator, Callable
from uuid import uuid4

import asyncpg
import pytest

from chaos.dialects import PostgresDialect
from chaos.proxy import Proxy
from headrace import Headrace, LedgerUnavailable
from headrace.engines.ledgered import LedgeredEngine
from headrace.ledger.postgres import PostgresLedger
from headrace.model.job import Beat
from headrace.model.state import Stored
from headrace.worker import worker as worker_module
from headrace.worker.worker import Worker
from integration.ledgers import add, claim, hire, settlement
from steady_pace import SteadyPace


@pytest.fixture
async def quick_app(migrated_url: str) -> AsyncIterator[Headrace]:
    async with Headrace("tests", database_url=migrated_url, lease="1s") as app:
        yield app


async def test_a_retry_whose_reply_was_lost_is_known_after_another_worker_ran_the_job(
    ledger: PostgresLedger,
) -> None:
    await add(ledger)
    first, second = await hire(ledger), await hire(ledger)
    (delivery,) = await claim(ledger, first)
    again = settlement(delivery, Stored.LIVE, failed=True, error='{"type":"E"}')
    assert await ledger.settle(first, [again]) == {delivery.token}
    (rerun,) = await claim(ledger, second)
    assert await ledger.settle(second, [settlement(rerun)]) == {rerun.token}
    assert await ledger.settle(first, [again]) == {delivery.token}
    assert await ledger.settle(second, [again]) == set()
    assert await ledger.settle(uuid4(), [again]) == set()


async def test_refusals_of_one_identity_give_one_new_one(
    quick_app: Headrace, sql: asyncpg.Connection
) -> None:
    app = quick_app
    app.queue("q")
    worker = Worker(app, {"q": 1})
    await worker.start()
    first = worker.id
    await sql.execute("UPDATE headrace.worker SET reaped_at = now()")
    async with asyncio.timeout(10):
        await until(lambda: worker._hand.void)
        worker._on_beaten(Beat(alive=False))
        worker._on_beaten(Beat(alive=False))
        await until(lambda: worker.id != first)
        worker._on_beaten(Beat(alive=False))
    await worker.stop()
    assert await sql.fetchval("SELECT count(*) FROM headrace.worker") == 2


async def test_a_worker_whose_heartbeat_breaks_ends(
    quick_app: Headrace, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = quick_app

    class Broken(LedgeredEngine):
        async def start(self) -> None:
            raise ZeroDivisionError("a defect")

    app.queue("q")
    monkeypatch.setattr(worker_module, "connect", lambda _settings: Broken(PostgresLedger("")))
    worker = Worker(app, {"q": 1})
    with pytest.raises(RuntimeError, match="a defect"):
        await asyncio.wait_for(worker.run(), 10)


async def test_a_worker_ends_in_good_order_while_the_ledger_is_away(migrated_url: str) -> None:
    with Proxy.before(migrated_url, PostgresDialect) as proxy:
        app = Headrace("tests", database_url=proxy.url)
        app.queue("q")
        async with app:
            worker = Worker(app, {"q": 1}, pace=lambda: SteadyPace(2))
            await worker.start()
            proxy.refuse()
            proxy.cut()
            await asyncio.wait_for(worker.stop(), 10)


@pytest.mark.parametrize(
    "lost", [b"server_version_num", b"headrace.migration", b"-- clock:", b"-- declare_queues:"]
)
async def test_a_start_cut_short_leaves_no_connection_and_can_be_repeated(
    migrated_url: str, lost: bytes
) -> None:
    with Proxy.before(migrated_url, PostgresDialect) as proxy:
        ledger = PostgresLedger(proxy.url)
        proxy.drop_next_reply(lost)
        with pytest.raises(LedgerUnavailable):
            await ledger.open()
        async with asyncio.timeout(10):
            await until(lambda: not proxy.connections)
        await ledger.open()
        await ledger.close()


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0)
