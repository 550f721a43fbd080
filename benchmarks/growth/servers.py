"""The PostgreSQL and the Valkey of a run, a fresh database for each point, and what they spent."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import asyncpg
from redis.asyncio import Redis

from benchmarks.growth.history import fill_history
from benchmarks.peers.processes import cpu_seconds
from headrace.bench.machine import family_cpu
from headrace.embedded import EmbeddedPostgres, EmbeddedValkey
from headrace.ledger.migrate import migrate

POSTGRES_SETTINGS = {
    "max_connections": "600",
    "checkpoint_timeout": "1h",
    "max_wal_size": "16GB",
    "shared_preload_libraries": "pg_stat_statements",
}
VALKEY_SETTINGS = {"auto-aof-rewrite-percentage": "0"}
_TEMPLATE, _NAME = "growth_template", "growth"
_SPENT = """
SELECT extract(epoch FROM clock_timestamp())::float8 AS seconds,
       (pg_current_wal_lsn() - '0/0')::float8 AS wal,
       coalesce(sum(s.calls), 0)::float8 AS statements,
       coalesce(sum(s.shared_blks_hit + s.shared_blks_read), 0)::float8 AS pages
FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid WHERE d.datname = $1
"""


class Spent(NamedTuple):
    """What was spent up to some moment, or between two: seconds, seconds of CPU, bytes, calls."""

    seconds: float
    wal: float
    statements: float
    pages: float
    commands: float
    worker_cpu: float
    postgres_cpu: float
    valkey_cpu: float

    def since(self, before: "Spent") -> "Spent":
        """What was spent between two moments."""
        return Spent(*(now - then for now, then in zip(self, before, strict=True)))


class Servers:
    """Both servers."""

    def __init__(self, postgres: EmbeddedPostgres, valkey: EmbeddedValkey) -> None:
        self._postgres = postgres
        self._valkey = valkey
        self._filled: int | None = None
        self.database_url = urlsplit(postgres.url)._replace(path=f"/{_NAME}").geturl()
        self.redis_url = valkey.url

    async def connect(self) -> None:
        """Connect as who measures."""
        self._admin = await asyncpg.connect(self._postgres.url)
        self.redis = Redis.from_url(self._valkey.url)
        await self._admin.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        self.versions: dict[str, str | int | float] = {
            "postgresql": await self._admin.fetchval("SHOW server_version"),
            "valkey": (await self.redis.info("server")).get("valkey_version", "?"),
        }

    async def close(self) -> None:
        """Disconnect."""
        await self._admin.close()
        await self.redis.aclose()

    async def renew(self, history: int) -> None:
        """A database with so many finished jobs, and an empty Valkey; nothing is left to write."""
        await self._drop(_NAME)
        if self._filled != history:
            await self._make_template(history)
        copy = f"CREATE DATABASE {_NAME} TEMPLATE {_TEMPLATE} STRATEGY file_copy"
        await self._admin.execute(copy)
        await self.redis.flushall()
        await self._admin.execute("CHECKPOINT")

    async def spent(self, workers: Sequence[int]) -> Spent:
        """What was spent up to now, by these processes and both servers."""
        row = await self._admin.fetchrow(_SPENT, _NAME)
        assert row is not None
        stats = await self.redis.info("stats")
        assert self._postgres.pid is not None
        assert self._valkey.pid is not None
        return Spent(
            seconds=row["seconds"],
            wal=row["wal"],
            statements=row["statements"],
            pages=row["pages"],
            commands=stats["total_commands_processed"],
            worker_cpu=cpu_seconds(workers),
            postgres_cpu=family_cpu(self._postgres.pid),
            valkey_cpu=family_cpu(self._valkey.pid),
        )

    async def connections(self) -> int:
        """To the database, now."""
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1"
        found: int = await self._admin.fetchval(query, _NAME)
        return found

    async def _make_template(self, history: int) -> None:
        self._filled = None
        await self._drop(_TEMPLATE)
        await self._admin.execute(f"CREATE DATABASE {_TEMPLATE} TEMPLATE template0")
        url = urlsplit(self._postgres.url)._replace(path=f"/{_TEMPLATE}").geturl()
        await migrate(url)
        connection = await asyncpg.connect(url)
        try:
            await fill_history(connection, history)
        finally:
            await connection.close()
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1"
        while await self._admin.fetchval(query, _TEMPLATE):
            await asyncio.sleep(0.01)  # who disconnects may be there for a moment
        self._filled = history

    async def _drop(self, name: str) -> None:
        await self._admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@asynccontextmanager
async def running_servers(
    folder: Path, settings: Mapping[str, str] = POSTGRES_SETTINGS
) -> AsyncIterator[Servers]:
    """Start both, with their data in `folder`, and stop them afterwards."""
    postgres = EmbeddedPostgres(folder / "postgres", settings=settings)
    valkey = EmbeddedValkey(folder / "valkey", settings=VALKEY_SETTINGS)
    with postgres, valkey:
        servers = Servers(postgres, valkey)
        await servers.connect()
        try:
            yield servers
        finally:
            await servers.close()
