"""Everything through a real PgBouncer in transaction mode."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import asyncpg
import pytest
from typer.testing import CliRunner

from headrace import Context, Headrace
from headrace.bench import limits
from headrace.bench.database import fresh_database
from headrace.bench.lean import run_lean
from headrace.cli.root import app as cli
from headrace.embedded.process import free_port
from headrace.errors import ConfigError, LedgerError, LedgerUnavailable
from headrace.ledger import doctor
from headrace.ledger.migrate import migrate, version
from headrace.ledger.queries import Queries
from headrace.model.finding import Level
from headrace.model.lane_view import Mode
from headrace.relay.services import services
from headrace.service import running
from headrace.worker.worker import Worker
from integration.served import until
from programs import program

# Fewer than the clients: a statement that counts on its session meets that of another.
_SESSIONS = 3
_IGNORED = "jit, enable_seqscan, enable_hashjoin, enable_mergejoin, plan_cache_mode"


@contextmanager
def bouncing(url: str, folder: Path, *more: str) -> Iterator[str]:
    """The URL of a database through a PgBouncer of the test's own."""
    pgbouncer = program("pgbouncer", "pgbouncer")
    server, port = urlsplit(url), free_port()
    users = folder / "users.txt"
    users.write_text(f'"{server.username}" "{unquote(server.password or "")}"\n')
    settings = folder / "pgbouncer.ini"
    settings.write_text(
        "\n".join(
            [
                "[databases]",
                f"* = host={server.hostname} port={server.port}",
                "[pgbouncer]",
                "listen_addr = 127.0.0.1",
                f"listen_port = {port}",
                "unix_socket_dir =",
                "auth_type = scram-sha-256",
                f"auth_file = {users}",
                "pool_mode = transaction",
                f"default_pool_size = {_SESSIONS}",
                "max_client_conn = 200",
                *more,
            ]
        )
    )
    # It refuses to run as root.
    command = [pgbouncer, *(["-u", "nobody"] if os.geteuid() == 0 else []), str(settings)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            said = []
            for line in process.stderr:
                said.append(line)
                if "process up" in line:
                    break
            else:
                pytest.fail(f"pgbouncer did not start: {''.join(said)}")
            yield server._replace(
                netloc=f"{server.username}:{server.password}@127.0.0.1:{port}"
            ).geturl()
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=10)


@pytest.fixture
def bounced_url(migrated_url: str, server_directory: Path) -> Iterator[str]:
    """A migrated database through PgBouncer."""
    with bouncing(migrated_url, server_directory) as url:
        yield url


@pytest.fixture
def without_preparing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_PREPARED_STATEMENTS", "false")


def shop(url: str, redis_url: str | None = None) -> Headrace:
    """An application whose task writes with its completion, and returns what it was given."""
    app = Headrace("bounced", database_url=url, redis_url=redis_url, lease="2s")

    @app.task(queue="q")
    async def double(ctx: Context, number: int) -> int:
        async with ctx.transaction() as tx:
            await tx.execute("INSERT INTO written VALUES ($1)", number)
        return number * 2

    return app


@pytest.fixture
async def direct(migrated_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(migrated_url)
    await connection.execute("CREATE TABLE written (number int)")
    yield connection
    await connection.close()


async def is_hybrid(direct: asyncpg.Connection) -> bool:
    return bool(await direct.fetchval("SELECT mode FROM headrace.lane") == Mode.HYBRID)


async def written(direct: asyncpg.Connection) -> list[int]:
    rows = await direct.fetch("SELECT number FROM written ORDER BY number")
    return [row["number"] for row in rows]


@pytest.mark.usefixtures("without_preparing")
async def test_jobs_of_every_kind_run_in_direct_mode(
    bounced_url: str, direct: asyncpg.Connection
) -> None:
    app = shop(bounced_url)
    double = app.tasks["double"]
    async with app:
        jobs = [await double.enqueue(0)]
        jobs += await asyncio.gather(*(double.enqueue(number) for number in range(1, 40)))
        jobs += await app.enqueue_many([double.job(number) for number in range(40, 240)])
        own = await asyncpg.connect(bounced_url, statement_cache_size=0)
        async with own.transaction():
            jobs.append(await double.enqueue(240, tx=own))
        undone = own.transaction()
        await undone.start()
        await double.enqueue(241, tx=own)
        await undone.rollback()
        await own.close()
        await asyncio.gather(*(Worker(app, {"q": 20}).run(burst=True) for _ in range(2)))
        assert await asyncio.gather(*(job.result("10s") for job in jobs)) == [
            2 * number for number in range(241)
        ]
    assert await written(direct) == list(range(241))


@pytest.mark.usefixtures("without_preparing")
async def test_jobs_run_with_a_lane(
    bounced_url: str, direct: asyncpg.Connection, lane_url: str
) -> None:
    app = shop(bounced_url, lane_url)
    double = app.tasks["double"]
    async with app, running(services(app.engine, lease=2.0)):
        await until(lambda: is_hybrid(direct))
        jobs = await app.enqueue_many([double.job(number) for number in range(100)])
        await Worker(app, {"q": 20}).run(burst=True)
        assert await jobs[-1].result("10s") == 198
    assert await written(direct) == list(range(100))


@pytest.mark.usefixtures("without_preparing")
async def test_nothing_stays_in_the_sessions_of_the_pooler(
    bounced_url: str, direct: asyncpg.Connection
) -> None:
    app = shop(bounced_url)
    async with app:
        await app.tasks["double"].enqueue(1)
        await Worker(app, {"q": 1}).run(burst=True)
    left = await asyncpg.connect(bounced_url, statement_cache_size=0)
    async with left.transaction():
        assert await left.fetchval("SELECT count(*) FROM pg_prepared_statements") == 0
        assert await left.fetchval("SHOW plan_cache_mode") == "auto"
        assert not await left.fetch("SELECT pg_listening_channels()")
    await left.close()
    locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = "
    mine = "(SELECT oid FROM pg_database WHERE datname = current_database())"
    assert await direct.fetchval(locks + mine) == 0


async def test_migrating_needs_no_setting(database_url: str, server_directory: Path) -> None:
    with bouncing(database_url, server_directory) as url:
        assert await version(url) == 0
        done = await migrate(url)
        assert await version(url) == done[-1].version
        assert await migrate(url) == []


@pytest.mark.usefixtures("without_preparing")
def test_the_commands_of_operators(bounced_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_DATABASE_URL", bounced_url)

    def run(*command: str) -> dict[str, list[dict[str, str]]]:
        done = CliRunner().invoke(cli, [*command, "--json"])
        assert done.exit_code == 0, done.output
        told: dict[str, list[dict[str, str]]] = json.loads(done.stdout)
        return told

    assert run("migrate")["migrations"] == []
    assert all(one["level"] != "fail" for one in run("doctor")["findings"])
    assert all(not one["breaches"] for one in run("verify")["checks"])
    assert run("jobs", "list")["jobs"] == []
    assert "mode" in run("lane", "status")


@pytest.mark.usefixtures("without_preparing")
async def test_the_demo(bounced_url: str, tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.eml").write_text(
            f"From: ann@example.com\nTo: shop@example.com\nSubject: {number}\n\nHello.\n"
        )
    command = [sys.executable, "-m", "headrace", "demo", "--once", str(tmp_path)]
    process = await asyncio.create_subprocess_exec(
        *command, "--database-url", bounced_url, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    summary, said = await process.communicate()
    assert process.returncode == 0, said.decode()
    assert json.loads(summary)["messages"] == 3


@pytest.mark.usefixtures("without_preparing")
async def test_the_limits_of_the_benchmark(bounced_url: str) -> None:
    async with fresh_database(bounced_url) as database:
        assert (await limits.measure_round_trip(database))["round_trip"] > 0
        assert (await limits.measure_commit_loop(database, 20))["commit_loop"] > 0
        assert (await limits.measure_batch_insert(database, 1000))["batch_insert"] > 0
        await limits.fill_lean(database, 1000)
        await run_lean(database.url)
        assert await database.connection.fetchval("SELECT count(*) FROM lean WHERE state = 2") == (
            1000
        )


async def test_without_the_setting_one_sentence_says_what_to_set(
    bounced_url: str, migrated_url: str, server_directory: Path
) -> None:
    sentence = "is reached through PgBouncer.*; set HEADRACE_PREPARED_STATEMENTS=false$"
    password = urlsplit(bounced_url).password or ""
    with pytest.raises(ConfigError, match=sentence) as refused:
        await Headrace("bounced", database_url=bounced_url).start()
    assert password not in str(refused.value)
    (finding,) = await doctor.examine(bounced_url)
    assert finding.level is Level.FAIL
    assert finding.text == str(refused.value)
    (folder := server_directory / "lenient").mkdir(mode=0o755)
    with (
        bouncing(migrated_url, folder, f"ignore_startup_parameters = {_IGNORED}") as lenient,
        pytest.raises(ConfigError, match=sentence),
    ):
        await Headrace("bounced", database_url=lenient).start()


@pytest.mark.usefixtures("without_preparing")
async def test_a_wrong_password_is_told_as_ever(bounced_url: str) -> None:
    wrong = bounced_url.replace(urlsplit(bounced_url).password or "", "mistaken")
    with pytest.raises(LedgerUnavailable, match="refused the user or password") as refused:
        await Headrace("bounced", database_url=wrong).start()
    assert "mistaken" not in str(refused.value)


async def test_clients_that_share_sessions_find_their_statements(bounced_url: str) -> None:
    async def ask(queries: Queries, client: int) -> None:
        for number in range(20):
            async with queries.connection() as connection:
                assert await connection.fetchval("SELECT $1::int + $2", client, number) == (
                    client + number
                )

    async with (
        Queries(bounced_url, size=8, prepared=False) as queries,
        asyncio.TaskGroup() as group,
    ):
        for client in range(8):
            group.create_task(ask(queries, client))


async def test_a_failed_statement_leaves_the_connection_usable(bounced_url: str) -> None:
    async with Queries(bounced_url, size=1, prepared=False) as queries:
        with pytest.raises(LedgerError, match="division by zero"):
            async with queries.connection() as connection:
                await connection.fetchval("SELECT 1 / $1::int", 0)
        async with queries.transaction(lock_timeout="200ms") as connection:
            assert await connection.fetchval("SHOW lock_timeout") == "200ms"
        async with queries.connection() as connection:
            assert await connection.fetchval("SHOW lock_timeout") == "0"
            assert await connection.fetchval("SHOW enable_seqscan") == "off"
