"""`headrace relay`: what it looks after while no worker runs."""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from headrace import Headrace
from headrace.engines.ledgered import LedgeredEngine
from headrace.ledger.postgres import PostgresLedger
from headrace.model.lane_view import Mode
from headrace.supervisor.node import run_node
from headrace.supervisor.relay_process import run_relay
from integration.ledgers import add, claim, hire
from integration.served import until

PROGRAM = Path(sys.executable).with_name("headrace")


@asynccontextmanager
async def relay(
    *arguments: str, cwd: Path | None = None, **settings: str
) -> AsyncIterator[Process]:
    environment = {f"HEADRACE_{name.upper()}": value for name, value in settings.items()}
    process = await asyncio.create_subprocess_exec(
        PROGRAM,
        "relay",
        *arguments,
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", **environment},
        stderr=PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def told(process: Process) -> str:
    _, said = await asyncio.wait_for(process.communicate(), 30)
    return said.decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_dead_workers_jobs_go_back_and_a_signal_ends_it(
    ledger: PostgresLedger, sql: asyncpg.Connection, migrated_url: str, number: signal.Signals
) -> None:
    await add(ledger)
    await claim(ledger, await hire(ledger, lease=1.0))  # not the one of the relay

    async def given_back() -> bool:
        return bool(await sql.fetchval("SELECT owner IS NULL AND crashes = 1 FROM headrace.job"))

    async with relay(database_url=migrated_url, lease="120s") as process:
        await until(given_back, 30)
        process.send_signal(number)
        said = await told(process)
    assert process.returncode == 0
    assert "the relay is ready, without a lane" in said


async def test_it_goes_by_what_the_application_says(
    migrated_url: str, lane_url: str, tmp_path: Path
) -> None:
    (tmp_path / "shop.py").write_text(
        "from headrace import Headrace\n"
        f'app = Headrace("shop", database_url="{migrated_url}", redis_url="{lane_url}",\n'
        '               lease="40s")\n'
    )
    async with relay("shop:app", cwd=tmp_path) as process:
        assert process.stderr is not None
        async with asyncio.timeout(30):
            said = (await process.stderr.readline()).decode()
    assert "the relay is ready, with a lane" in said


async def test_it_fills_the_lane(migrated_url: str, lane_url: str) -> None:
    app = Headrace("tests", database_url=migrated_url, redis_url=lane_url)

    @app.task(queue="q")
    async def plain() -> None:
        """Nothing."""

    async with app:
        assert isinstance(app.engine, LedgeredEngine)
        assert app.engine.view.mode is Mode.DIRECT
        await plain.enqueue()
        async with relay(database_url=migrated_url, redis_url=lane_url):
            await until(lambda: carried(app), 30)


async def carried(app: Headrace) -> bool:
    engine = app.engine
    assert isinstance(engine, LedgeredEngine)
    engine.heed(await engine.ledger.lanes.view())
    return engine.view.mode is Mode.HYBRID and await engine.ripe(["q"]) == {"q"}


async def test_a_database_without_the_schema_is_one_sentence(database_url: str) -> None:
    async with relay(database_url=database_url) as process:
        said = await told(process)
    assert process.returncode == 1
    assert said.startswith("headrace: ")
    assert "headrace migrate" in said
    assert "Traceback" not in said


async def test_a_service_that_ends_by_a_defect_ends_the_process(
    migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def watch(_ledger: PostgresLedger) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(PostgresLedger, "watch", watch)
    app = Headrace("tests", database_url=migrated_url)
    app.queue("q")
    async with asyncio.timeout(30):
        with pytest.raises(RuntimeError, match="the relay ended: a defect"):
            await run_relay(app.settings)
        with pytest.raises(RuntimeError, match="the worker ended: a defect"):
            await run_node(app, {"q": 1})


@pytest.mark.parametrize(("level", "says"), [("info", True), ("error", False)])
async def test_only_what_is_of_the_level_is_logged(
    migrated_url: str, ledger: PostgresLedger, level: str, *, says: bool
) -> None:
    async with relay("--log-level", level, database_url=migrated_url) as process:
        await until(lambda: _leads(ledger), 20)
        process.send_signal(signal.SIGTERM)
        assert bool(await told(process)) is says
    assert process.returncode == 0


async def _leads(ledger: PostgresLedger) -> bool:
    return bool((await ledger.inspector.fleet()).leaders)
