"""From settings to an engine: the only place that names adapters."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from headrace.config import Settings
from headrace.engines.lane_inspector import LaneInspector
from headrace.engines.ledgered import LedgeredEngine
from headrace.errors import ConfigError
from headrace.ledger.inspector import LedgerInspector
from headrace.ledger.lane_ledger import PostgresLaneLedger
from headrace.ledger.postgres import PostgresLedger
from headrace.ledger.queries import Queries
from headrace.ports.bus import Bus
from headrace.ports.cache import CacheStore
from headrace.ports.engine import Engine
from headrace.ports.inspector import Inspector
from headrace.ports.lane import Lane
from headrace.ports.ledger import Ledger


def connect(settings: Settings) -> Engine:
    """The engine that the settings ask for, not yet started.

    Raises:
        ConfigError: the URL of the database is missing.
    """
    return LedgeredEngine(_ledger(settings), _lane(settings), _bus(settings))


def open_cache(settings: Settings, application: str) -> CacheStore:
    """The store of an application's cache, not yet connected.

    Raises:
        ConfigError: the URL of its server is missing.
    """
    if settings.cache_url is None:
        raise ConfigError(
            "no cache is configured; set HEADRACE_CACHE_URL or give "
            'Headrace(cache_url="redis://user:password@host:6379/0")'
        )
    from headrace.cache.redis import RedisStore  # noqa: PLC0415 - its driver takes long

    return RedisStore(settings.cache_url, application, settings.redis_url)


@asynccontextmanager
async def inspecting(settings: Settings) -> AsyncIterator[Inspector]:
    """What operators see and do, connected to the ledger; a lane that is away is no obstacle.

    Raises:
        ConfigError: the URL of the database is missing.
        LedgerUnavailable: it cannot be reached.
        SchemaError: the schema is missing, older than the code, or too new for it.
    """
    lane = _lane(settings)
    try:
        async with Queries(_database(settings), prepared=settings.prepared_statements) as queries:
            yield LaneInspector(LedgerInspector(queries), PostgresLaneLedger(queries), lane)
    finally:
        if lane is not None:
            await lane.close()


def _lane(settings: Settings) -> Lane | None:
    if settings.redis_url is None:
        return None
    from headrace.lanes.redis.lane import RedisLane  # noqa: PLC0415 - its driver takes long

    return RedisLane(settings.redis_url, lease=settings.lease.total_seconds())


def _bus(settings: Settings) -> Bus | None:
    """None: the ledger's own."""
    if settings.redis_url is None:
        return None
    from headrace.lanes.redis.bus import RedisBus  # noqa: PLC0415 - its driver takes long

    return RedisBus(settings.redis_url)


def _ledger(settings: Settings) -> Ledger:
    return PostgresLedger(
        _database(settings),
        size=settings.pool_size,
        listens=settings.listen,
        prepared=settings.prepared_statements,
    )


def _database(settings: Settings) -> str:
    if not settings.database_url:
        raise ConfigError(
            "no database is configured; set HEADRACE_DATABASE_URL or give "
            'Headrace(database_url="postgresql://user:password@host:5432/database")'
        )
    return settings.database_url
