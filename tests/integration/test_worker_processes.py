"""`headrace worker --processes 2`, as an operator starts it, kills it and stops it."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import pytest

from headrace.ledger.postgres import PostgresLedger
from integration import served
from integration.ledgers import add

PROGRAM = Path(sys.executable).with_name("headrace")
TESTS = Path(__file__).parents[1]


@dataclass(frozen=True)
class Visitor:
    """A handler that waits at the gate."""

    pid: int
    number: int
    attempt: int
    writer: asyncio.StreamWriter

    def let_through(self) -> None:
        self.writer.write(b"go\n")


@dataclass
class Gate:
    """Where handlers of the gated shop wait."""

    arrivals: "asyncio.Queue[Visitor]" = field(default_factory=asyncio.Queue)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def open(self) -> asyncio.Server:
        return await asyncio.start_server(self._visit, "127.0.0.1", 0)

    async def _visit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        pid, number, attempt = map(int, (await reader.readline()).split())
        self.arrivals.put_nowait(Visitor(pid, number, attempt, writer))

    async def visitor(self) -> Visitor:
        async with asyncio.timeout(60):
            return await self.arrivals.get()

    async def let_all_through(self) -> None:
        while True:
            (await self.arrivals.get()).let_through()

    async def visitors(self, n: int) -> list[Visitor]:
        return [await self.visitor() for _ in range(n)]


@dataclass(frozen=True)
class Site:
    """A database with a queue, and a gate."""

    ledger: PostgresLedger
    sql: asyncpg.Connection
    url: str
    gate: Gate
    port: int
    logs: Path

    async def add(self, task: str, n: int) -> None:
        for number in range(n):
            await add(self.ledger, task=task, queue="work", payload=b'{"number": %d}' % number)

    async def results(self) -> list[int]:
        """The attempts that completed, when all jobs have."""
        await until(self._over)
        rows = await self.sql.fetch("SELECT result::text FROM headrace.job WHERE state = 2")
        return sorted(int(row["result"]) for row in rows)

    async def _over(self) -> bool:
        live: int = await self.sql.fetchval("SELECT count(*) FROM headrace.job WHERE state = 0")
        return live == 0

    async def owned(self) -> int:
        count: int = await self.sql.fetchval(
            "SELECT count(*) FROM headrace.job WHERE state = 0 AND owner IS NOT NULL"
        )
        return count

    @asynccontextmanager
    async def worker(self, *options: str) -> AsyncIterator[Process]:
        arguments = [
            "integration.gated_shop:app",
            "--processes",
            "2",
            "--concurrency",
            "1",
            *options,
        ]
        environment = {
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(TESTS),
            "HEADRACE_DATABASE_URL": self.url,
            "HEADRACE_LEASE": "1.5s",
            "GATE": str(self.port),
        }
        # Not a pipe: children that outlive their parent would hold it open.
        with self.logs.open("wb") as logs:
            process = await asyncio.create_subprocess_exec(
                PROGRAM, "worker", *arguments, stdin=DEVNULL, stderr=logs, env=environment
            )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()  # its children see it and drain
            for writer in self.gate.writers:
                writer.close()
            await process.wait()
            print(self.logs.read_text())


@pytest.fixture
async def site(
    ledger: PostgresLedger, sql: asyncpg.Connection, migrated_url: str, tmp_path: Path
) -> AsyncIterator[Site]:
    await ledger.declare((), ["work"])
    gate = Gate()
    server = await gate.open()
    port = server.sockets[0].getsockname()[1]
    yield Site(ledger, sql, migrated_url, gate, port, tmp_path / "logs")
    server.close()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    await served.until(condition, 60.0)


async def ended(process: Process) -> int:
    async with asyncio.timeout(60):
        return await process.wait()


async def test_a_killed_child_is_replaced_and_its_job_runs_again(site: Site) -> None:
    await site.add("hold", 2)
    async with site.worker() as worker:
        killed, other = await site.gate.visitors(2)
        assert killed.pid != other.pid
        os.kill(killed.pid, signal.SIGKILL)
        again = await site.gate.visitor()
        assert again.pid not in {killed.pid, other.pid, worker.pid}
        assert (again.number, again.attempt) == (killed.number, 2)
        again.let_through()
        other.let_through()
        assert await site.results() == [1, 2]
        worker.terminate()
        assert await ended(worker) == 0


async def test_a_terminated_supervisor_drains_its_children(site: Site) -> None:
    await site.add("hold", 200)
    async with site.worker() as worker:
        running = await site.gate.visitors(2)
        worker.terminate()
        others = asyncio.create_task(site.gate.let_all_through())
        for one in running:
            one.let_through()
        assert await ended(worker) == 0
        others.cancel()
    rows = await site.sql.fetch("SELECT * FROM headrace.job")
    completed = {row["result"] for row in rows if row["state"] == 2}
    assert (len(completed), {row["owner"] for row in rows}) == (1, {None})
    assert [row["state"] for row in rows].count(2) == len(site.gate.writers) < 200
    assert {(row["failures"], row["crashes"]) for row in rows} == {(0, 0)}


@pytest.mark.parametrize(
    ("task", "kind"),
    [
        ("block", "Blocked"),
        ("sit", "Timeout"),
        ("insist", "Timeout"),
        ("insist_in_transaction", "Timeout"),
    ],
)
async def test_a_child_with_a_stuck_job_is_replaced(site: Site, task: str, kind: str) -> None:
    await site.add(task, 1)
    async with site.worker("--grace", "0.1s") as worker:
        stuck = await site.gate.visitor()
        again = await site.gate.visitor()
        error = json.loads(await site.sql.fetchval("SELECT error::text FROM headrace.job"))
        assert error["type"] == kind
        assert "past its timeout" in error["message"] or "passed its timeout" in error["message"]
        assert again.pid != stuck.pid
        assert again.attempt == 2
        again.let_through()
        assert await site.results() == [2]
        worker.terminate()
        assert await ended(worker) == 0


async def test_a_second_signal_ends_all_at_once(site: Site) -> None:
    await site.add("hold", 2)
    async with site.worker() as worker:
        await site.gate.visitors(2)
        worker.send_signal(signal.SIGTERM)
        worker.send_signal(signal.SIGINT)
        assert await ended(worker) == 128 + signal.SIGKILL
    rows = await site.sql.fetch("SELECT state, owner FROM headrace.job")
    assert [(row["state"], row["owner"] is None) for row in rows] == [(0, False)] * 2


async def test_a_burst_of_two_processes_ends_by_itself(site: Site) -> None:
    await site.add("hold", 4)
    async with site.worker("--burst") as worker:
        others = asyncio.create_task(site.gate.let_all_through())
        assert await ended(worker) == 0
        others.cancel()
    assert await site.results() == [1] * 4


async def test_children_whose_supervisor_is_killed_drain(site: Site) -> None:
    await site.add("hold", 200)

    async def all_left() -> bool:
        living = await site.sql.fetch("SELECT FROM headrace.worker WHERE reaped_at IS NULL")
        return not living

    async with site.worker() as worker:
        running = await site.gate.visitors(2)
        worker.kill()
        await ended(worker)
        others = asyncio.create_task(site.gate.let_all_through())
        for one in running:
            one.let_through()
        await until(all_left)
        others.cancel()
    rows = await site.sql.fetch("SELECT state, crashes FROM headrace.job")
    assert [row["state"] for row in rows].count(2) == len(site.gate.writers) < 200
    assert {row["crashes"] for row in rows} == {0}


async def test_only_what_is_of_the_level_is_logged(site: Site) -> None:
    async def told(*options: str) -> set[str]:
        async with site.worker("--burst", *options) as worker:
            assert await ended(worker) == 0
        return {json.loads(line)["level"] for line in site.logs.read_text().splitlines()}

    assert "info" in await told()
    assert await told("--log-level", "ERROR") == set()


async def test_an_application_that_is_not_there_starts_no_process(site: Site) -> None:
    process = await asyncio.create_subprocess_exec(
        PROGRAM,
        "worker",
        "integration.gated_shop:nothing",
        "--processes",
        "2",
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(TESTS), "HEADRACE_DATABASE_URL": site.url},
        stderr=PIPE,
    )
    _, err = await process.communicate()
    assert (process.returncode, b"worker process" in err) == (2, False)
