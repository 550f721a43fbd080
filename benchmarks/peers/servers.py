"""The PostgreSQL and the Valkey of a run: started once, fresh for each measurement, metered."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import asyncpg
from redis.asyncio import Redis
from redis.exceptions import RedisError

from benchmarks.peers.catalogue import Peer
from headrace.bench.machine import family_cpu
from headrace.embedded import EmbeddedPostgres, EmbeddedValkey

# What would fall upon one peer and not on another, a checkpoint or a rewrite of the append-only
# file, happens between measurements, when we ask for it.
POSTGRES_SETTINGS = {
    "max_connections": "400",
    "checkpoint_timeout": "1h",
    "max_wal_size": "16GB",
}
VALKEY_SETTINGS = {"databases": "64", "auto-aof-rewrite-percentage": "0"}

# What a server answers, or does not, when a peer has exhausted it.
SERVER_FAULTS = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, RedisError)
_LEFT = 2.0  # seconds that clients get to leave
_ON_DISK = """
SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
AND n.nspname NOT LIKE 'pg_toast%'
"""


class Meter(NamedTuple):
    """What both servers had spent at some moment: bytes of WAL, and seconds of CPU."""

    wal: int
    postgres_cpu: float
    valkey_cpu: float


class Held(NamedTuple):
    """Bytes that jobs take: tables with indexes on disk, and memory of Valkey."""

    postgres: int
    valkey: int


class Servers:
    """Both servers."""

    def __init__(self, postgres: EmbeddedPostgres, valkey: EmbeddedValkey) -> None:
        self._postgres = postgres
        self._valkey = valkey
        self._ready: set[str] = set()

    async def connect(self) -> None:
        """Connect as who measures."""
        self._admin = await asyncpg.connect(self._postgres.url)
        self._redis = Redis.from_url(self._valkey.url)
        self.versions = {
            "postgresql": await self._admin.fetchval("SHOW server_version"),
            "valkey": (await self._redis.info("server")).get("valkey_version", "?"),
        }

    async def close(self) -> None:
        """Disconnect."""
        await self._admin.close()
        await self._redis.aclose()

    def database_url(self, peer: Peer) -> str:
        """Of the peer's own database."""
        return urlsplit(self._postgres.url)._replace(path=f"/{peer.database}").geturl()

    def redis_url(self, number: int = 0) -> str:
        """Of one of Valkey's numbered databases."""
        return urlsplit(self._valkey.url)._replace(path=f"/{number}").geturl()

    async def make_template(self, peer: Peer) -> None:
        """The peer's database, empty, for it to install its schema in; see `keep_template`."""
        await self._drop(peer.database)
        await self._drop(_template(peer))
        await self._admin.execute(f"CREATE DATABASE {peer.database} TEMPLATE template0")

    async def keep_template(self, peer: Peer) -> None:
        """What is in the peer's database now is what it finds in each measurement."""
        await self._leave(peer.database)
        await self._admin.execute(f"ALTER DATABASE {peer.database} RENAME TO {_template(peer)}")

    async def renew_database(self, peer: Peer) -> None:
        """The peer's database, with its schema and nothing else."""
        await self._drop(peer.database)
        await self._admin.execute(f"CREATE DATABASE {peer.database} TEMPLATE {_template(peer)}")

    async def drop_database(self, peer: Peer) -> None:
        """Drop the peer's database."""
        await self._drop(peer.database)

    async def renew_valkey(self) -> None:
        """An empty Valkey and append-only file, and a PostgreSQL with nothing left to write."""
        await self._redis.flushall()
        await self._redis.bgrewriteaof()
        while (await self._redis.info("persistence"))["aof_rewrite_in_progress"]:
            await asyncio.sleep(0.01)  # the server does not tell when it is done
        await self._admin.execute("CHECKPOINT")

    async def meter(self) -> Meter:
        """What both have spent so far."""
        wal = await self._admin.fetchval("SELECT (pg_current_wal_lsn() - '0/0')::bigint")
        return Meter(wal, _cpu(self._postgres.pid), _cpu(self._valkey.pid))

    async def held(self, peer: Peer) -> Held:
        """What the peer's jobs take now, once no client takes memory of Valkey beside them."""
        end = time.monotonic() + _LEFT
        while (await self._redis.info("clients"))["connected_clients"] > 1:
            if time.monotonic() > end:
                break
            await asyncio.sleep(0.01)  # another process leaves
        connection = await asyncpg.connect(self.database_url(peer))
        try:
            on_disk = await connection.fetchval(_ON_DISK)
        finally:
            await connection.close()
        return Held(on_disk, (await self._redis.info("memory"))["used_memory"])

    async def _drop(self, name: str) -> None:
        await self._admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    async def _leave(self, name: str) -> None:
        """Wait until nobody is connected: a client that ended may be there for a moment."""
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1"
        while await self._admin.fetchval(query, name):
            await asyncio.sleep(0.01)  # another process leaves


@asynccontextmanager
async def running_servers(folder: Path) -> AsyncIterator[Servers]:
    """Start both, with their data in `folder`, and stop them afterwards."""
    postgres = EmbeddedPostgres(folder / "postgres", settings=POSTGRES_SETTINGS)
    valkey = EmbeddedValkey(folder / "valkey", settings=VALKEY_SETTINGS)
    with postgres, valkey:
        servers = Servers(postgres, valkey)
        await servers.connect()
        try:
            yield servers
        finally:
            await servers.close()


def _template(peer: Peer) -> str:
    return f"{peer.database}_template"


def _cpu(pid: int | None) -> float:
    return family_cpu(pid) if pid is not None else 0.0
