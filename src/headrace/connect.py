"""From settings to an engine: the only place that names adapters."""

from headrace.config import Settings
from headrace.engines.ledgered import LedgeredEngine
from headrace.errors import ConfigError
from headrace.lanes.redis.lane import RedisLane
from headrace.ledger.postgres import PostgresLedger
from headrace.ports.engine import Engine
from headrace.ports.lane import Lane
from headrace.ports.ledger import Ledger


def connect(settings: Settings) -> Engine:
    """The engine that the settings ask for, not yet started.

    Raises:
        ConfigError: the URL of the database is missing.
    """
    return LedgeredEngine(_ledger(settings), _lane(settings))


def _lane(settings: Settings) -> Lane | None:
    if settings.redis_url is None:
        return None
    return RedisLane(settings.redis_url, lease=settings.lease.total_seconds())


def _ledger(settings: Settings) -> Ledger:
    if not settings.database_url:
        raise ConfigError(
            "no database is configured; set HEADRACE_DATABASE_URL or give "
            'Headrace(database_url="postgresql://user:password@host:5432/database")'
        )
    return PostgresLedger(settings.database_url, size=settings.pool_size)
