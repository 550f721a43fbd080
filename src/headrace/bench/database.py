"""The database of a run: made on the server, emptied again and again, dropped at the end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple
from urllib.parse import urlsplit
from uuid import uuid4

from headrace.bench.bare import Bare, open_bare
from headrace.bench.machine import family_cpu, parent_of
from headrace.config import read_settings
from headrace.ledger.faults import translated
from headrace.ledger.migrate import connect, migrate

_LEAN_TABLE = """
CREATE TABLE lean (id uuid PRIMARY KEY, state smallint NOT NULL DEFAULT 0, owner uuid,
    run_at timestamptz NOT NULL DEFAULT now(), done_at timestamptz, payload jsonb NOT NULL);
CREATE INDEX lean_live ON lean (run_at, id) WHERE state = 0 AND owner IS NULL;
"""


class Meter(NamedTuple):
    """What the servers had spent at some moment.

    Attributes:
        clock: its time, in seconds.
        wal: bytes of WAL written.
        cpu: seconds; 0 where the server runs elsewhere.
        lane_cpu: seconds of the lane's server.
        lane_memory: bytes; 0 without a lane.
    """

    clock: float
    wal: int
    cpu: float
    lane_cpu: float = 0.0
    lane_memory: int = 0


class Database:
    """A database with the schema of headrace and the table of the lean worker.

    Attributes:
        url: its address.
        connection: for what the benchmark itself does there.
        postmaster: the server's process, where it runs on this machine.
    """

    def __init__(
        self,
        url: str,
        connection: Bare,
        postmaster: int | None = None,
    ) -> None:
        self.url = url
        self.connection: Bare = connection
        self.postmaster = postmaster

    async def prepare(self) -> None:
        """Make the tables and find the server's process, if it runs on this machine."""
        await migrate(self.url)
        await self.connection.execute(_LEAN_TABLE)
        backend = await self.connection.fetchval(
            "SELECT CASE WHEN inet_server_addr() <<= '127.0.0.0/8' THEN pg_backend_pid() END"
        )
        self.postmaster = None if backend is None else parent_of(backend)

    async def empty(self) -> None:
        """Leave no row of an earlier measurement, as in a freshly made ledger."""
        await self.connection.execute(
            "TRUNCATE headrace.job, headrace.job_event, headrace.counter_delta, lean;"
            "DELETE FROM headrace.worker"
        )

    async def filled(self, n: int) -> None:
        """Wait until `n` jobs that were enqueued lie where workers take them: at once, here."""

    async def meter(self) -> Meter:
        """What the server has spent so far."""
        row = await self.connection.fetchrow(
            "SELECT extract(epoch FROM clock_timestamp())::float8 AS clock, "
            "(pg_current_wal_lsn() - '0/0')::bigint AS wal"
        )
        assert row is not None
        cpu = family_cpu(self.postmaster) if self.postmaster is not None else 0.0
        return Meter(row["clock"], row["wal"], cpu)

    async def version(self) -> str:
        """Of the server."""
        version: str = await self.connection.fetchval("SHOW server_version")
        return version


@asynccontextmanager
async def fresh_database(server_url: str) -> AsyncIterator[Database]:
    """A new database of the server, dropped afterwards whoever is connected.

    Raises:
        ConfigError: the URL is none of PostgreSQL.
        LedgerError: the server cannot be reached, or the account may make no database.
    """
    name = f"headrace_bench_{uuid4().hex[:8]}"
    url = urlsplit(server_url)._replace(path=f"/{name}").geturl()
    server = await connect(server_url)
    try:
        with translated():
            await server.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        try:
            prepared = read_settings({}).prepared_statements
            connection = await open_bare(url, prepared=prepared)
            try:
                database = Database(url, connection)
                await database.prepare()
                yield database
            finally:
                await connection.close()
        finally:
            await server.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await server.close()
