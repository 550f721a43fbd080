from uuid import uuid4

import asyncpg

from headrace.embedded import EmbeddedPostgres
from headrace.ledger.doctor import examine
from headrace.model.finding import Level
from headrace.ports.lane import LEASE
from jobsmith import smith_at


async def levels(url: str) -> dict[str, Level]:
    return {finding.name: finding.level for finding in await examine(url)}


async def test_a_server_that_is_away() -> None:
    (finding,) = await examine("postgresql://nobody@127.0.0.1:1/none")
    assert finding.level is Level.FAIL
    assert "127.0.0.1:1" in finding.text


async def test_an_empty_database_needs_a_migration(database_url: str) -> None:
    findings = {finding.name: finding for finding in await examine(database_url)}
    assert findings["connection"].level is Level.OK
    assert findings["schema"].level is Level.FAIL
    told = f"{findings['schema'].text} {findings['schema'].fix}"
    assert told.count("headrace migrate") == 1
    assert "workers" not in findings


async def test_a_healthy_ledger(postgres: EmbeddedPostgres) -> None:
    async with smith_at(postgres.url):
        found = await levels(postgres.url)
    assert set(found.values()) == {Level.OK}


async def test_what_is_wrong_is_said(database_url: str) -> None:
    async with smith_at(database_url) as smith:
        await smith.insert()
        await smith.ledger.leave(smith.worker, [])
        connection = await asyncpg.connect(database_url)
        try:
            await connection.execute("UPDATE headrace.queue SET paused = true WHERE name = 'other'")
            days = await connection.fetch(
                "SELECT c.relname FROM pg_class c WHERE relname ~ '^job_[0-9]{8}$' ORDER BY 1 DESC"
            )
            for day in days[:4]:
                await connection.execute(f"DROP TABLE headrace.{day['relname']}")
            await connection.execute("SELECT headrace.add_partition(current_date - 30)")
        finally:
            await connection.close()
        found = await levels(database_url)
    assert found["partitions"] is Level.FAIL
    assert found["retention"] is Level.WARN
    assert found["workers"] is Level.WARN
    assert found["paused"] is Level.WARN


async def test_a_queue_that_nobody_serves_is_named(database_url: str) -> None:
    async with smith_at(database_url) as smith:
        await smith.insert(queue="other")
        await smith.insert()
        await smith.ledger.register(uuid4(), "here", 2, {"main": 1}, LEASE)
        await smith.ledger.leave(smith.worker, [])
        findings = {finding.name: finding for finding in await examine(database_url)}
    assert findings["workers"].level is Level.OK
    assert (findings["queues"].level, findings["queues"].text) == (
        Level.WARN,
        "due jobs but no living worker: other",
    )


async def test_that_no_worker_lives_is_one_line(database_url: str) -> None:
    async with smith_at(database_url) as smith:
        await smith.insert(queue="other")
        await smith.insert()
        await smith.ledger.leave(smith.worker, [])
        findings = {finding.name: finding for finding in await examine(database_url)}
    assert findings["workers"].level is Level.WARN
    assert findings["workers"].text == "none lives, and jobs are due in main, other"
    assert "queues" not in findings
