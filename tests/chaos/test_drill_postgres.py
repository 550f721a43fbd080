"""PostgreSQL dies, fails over, or goes back in time, while jobs of all kinds flow."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from chaos.dialects import PostgresDialect
from chaos.drill import Size, drill
from chaos.history import now_ns
from chaos.network import Hold
from chaos.proxy import Proxy
from chaos.restored import Gap
from chaos.site import Site
from chaos.standby import Standby, standby_of, tool
from headrace.embedded import EmbeddedPostgres
from headrace.ledger.migrate import migrate
from servers import ROOMY, postgres_from, postgres_template

SETTINGS = {**ROOMY, "track_commit_timestamp": "on"}
WATCHED = 40.0  # seconds: the lane for a lease, and the grace of those who may still work by it
EPOCH = "SELECT epoch FROM headrace.lane"
NOTICED = "SELECT epoch > {epoch} AND mode = 'hybrid' FROM headrace.lane"
TIDE = "SELECT tide FROM headrace.lane"
BEFORE = "SELECT epoch, tide FROM headrace.lane"
FEW = 20  # jobs
MARKED = "SELECT tide > {tide} + 1 FROM headrace.lane"
# The restored ledger's own transactions begin far below those of its rows.
AGE = """
    DO $$ BEGIN
        FOR i IN 1..20000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP;
    END $$
"""
HERE = "SELECT pg_current_wal_lsn()::text"
FOLLOWED = "SELECT replay_lsn >= '{here}' FROM pg_stat_replication"
SCENARIOS = {
    False: ("asynchronous standby a moment behind promoted", 5.0),
    True: ("asynchronous standby seconds behind promoted", WATCHED),
}
SYNCHRONOUS = "SELECT sync_state = 'sync' FROM pg_stat_replication"


@pytest.fixture
def primary(shared_directory: Path, server_directory: Path) -> Iterator[EmbeddedPostgres]:
    """A durable server that keeps the time of each commit, for the checker to compare."""
    template = postgres_template(shared_directory)
    with postgres_from(template, server_directory / "own", SETTINGS) as server:
        yield server


@pytest.fixture
def way(primary: EmbeddedPostgres) -> Iterator[Proxy]:
    """The way to PostgreSQL, whichever server that is."""
    with Proxy.before(primary.url, PostgresDialect) as proxy:
        yield proxy


@pytest.fixture
async def site(tmp_path: Path, primary: EmbeddedPostgres, way: Proxy, redis_url: str) -> Site:
    """Everybody, the runner too, goes by that way."""
    await migrate(primary.url)
    site = Site(tmp_path, way.url, redis_url)
    await site.prepare()
    return site


async def test_postgres_is_killed_and_started_again(
    site: Site, primary: EmbeddedPostgres, size: Size
) -> None:
    async with drill("PostgreSQL killed and restarted", site, size, within=5.0) as going:
        for _ in range(size.rounds):
            going.strike("kill -9 of the postmaster")
            await asyncio.to_thread(primary.kill)
            await asyncio.to_thread(primary.start)
            await going.recover()
            await going.flow()


async def test_a_synchronous_standby_takes_over(
    site: Site, primary: EmbeddedPostgres, way: Proxy, server_directory: Path, size: Size
) -> None:
    standby = await asyncio.to_thread(standby_of, primary, server_directory / "standby", SETTINGS)
    with standby:
        await replicate_synchronously(primary)
        async with drill("synchronous standby promoted", site, size, within=5.0) as going:
            going.strike("kill -9 of the primary")
            await asyncio.to_thread(primary.kill)
            await promote(standby)
            way.lead_to(standby.url)
            await going.recover()
            await going.flow()


@pytest.mark.parametrize(
    "marks",
    [pytest.param(False, marks=pytest.mark.chaos_long), True],
    ids=["by a moment", "by marks"],
)
async def test_an_asynchronous_standby_takes_over_that_is_behind(
    marks: bool,
    site: Site,
    primary: EmbeddedPostgres,
    way: Proxy,
    server_directory: Path,
    size: Size,
) -> None:
    """What was committed since it heard last is gone; all else is run.

    By marks that it lacks the lane shows what it lost; by less, the walk over its jobs does.
    """
    with (
        Proxy.before(primary.url) as feed,
        standby_of(primary, server_directory / "standby", SETTINGS, feed.url) as standby,
    ):
        name, within = SCENARIOS[marks]
        async with drill(name, site, size, within=within) as going:
            async with site.connection() as connection:
                tide = await connection.fetchval(TIDE)
            await site.ledger_says(MARKED.format(tide=tide))  # so that the next one is not due yet
            began = now_ns()
            async with site.connection() as connection:
                (before, tide), *_ = await connection.fetch(BEFORE)
                here = await connection.fetchval(HERE)
            await site.ledger_says(FOLLOWED.format(here=here))
            feed.inject(Hold())
            await going.flow(FEW)
            if marks:
                await site.ledger_says(MARKED.format(tide=tide))
            going.strike("kill -9 of the primary")
            await asyncio.to_thread(primary.kill)
            await promote(standby)
            ended = now_ns()  # what the primary had answered is written down by now
            way.lead_to(standby.url)
            if marks:
                await site.ledger_says(NOTICED.format(epoch=before), within=60)
                going.gap = Gap(began, ended, now_ns())
            await going.recover(since=ended, of=going.gap.noticed if going.gap else None)
            await going.drain()
            going.gap = going.gap or Gap(began, ended, now_ns())


async def replicate_synchronously(primary: EmbeddedPostgres) -> None:
    """From now on no commit is answered before the standby has it on its disk."""
    connection = await asyncpg.connect(primary.url)
    await connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
    await connection.execute("SELECT pg_reload_conf()")
    await connection.close()
    await Site(Path(), primary.url).ledger_says(SYNCHRONOUS)


async def promote(standby: Standby) -> None:
    """Make it a primary that does not wait for a standby of its own."""
    connection = await asyncpg.connect(standby.url)
    assert await connection.fetchval("SELECT pg_promote()")
    await connection.close()


async def test_the_ledger_is_restored_from_a_dump_taken_a_moment_ago(
    site: Site,
    primary: EmbeddedPostgres,
    way: Proxy,
    shared_directory: Path,
    server_directory: Path,
    size: Size,
) -> None:
    """What was enqueued since then is gone; all else is run, and once as far as the dump knows."""
    template = postgres_template(shared_directory)
    dump = server_directory / "dump"
    async with site.connection() as connection:
        await connection.execute(AGE)
        before = await connection.fetchval(EPOCH)
    with postgres_from(template, server_directory / "restored", SETTINGS) as restored:
        async with drill("restored from a dump", site, size, within=WATCHED) as going:
            began = now_ns()
            await run("pg_dump", "--format=custom", f"--file={dump}", primary.url)
            async with site.connection() as connection:
                tide = await connection.fetchval(TIDE)
            await going.flow()
            # By its marks the lane knows what the dump does not: the last but one is surely there.
            await site.ledger_says(MARKED.format(tide=tide))
            going.strike("an earlier state")
            way.refuse()
            way.cut()
            await run("pg_restore", "--exit-on-error", f"--dbname={restored.url}", str(dump))
            way.lead_to(restored.url)
            ended = now_ns()
            way.accept()
            await site.ledger_says(NOTICED.format(epoch=before), within=60)
            going.gap = Gap(began, ended, now_ns())
            await going.recover(since=ended, of=going.gap.noticed)


async def run(name: str, *arguments: str) -> None:
    """Run a program of PostgreSQL to its end."""
    process = await asyncio.create_subprocess_exec(tool(name), *arguments)
    assert await process.wait() == 0, name
