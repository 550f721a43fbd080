"""From settings to an engine: the only place that names adapters."""

import logging

from headrace.config import Settings
from headrace.engines.ledgered import LedgeredEngine
from headrace.errors import ConfigError
from headrace.ledger.postgres import PostgresLedger
from headrace.ports.engine import Engine
from headrace.ports.ledger import Ledger

_log = logging.getLogger(__name__)


def connect(settings: Settings) -> Engine:
    """The engine that the settings ask for, not yet started.

    Raises:
        ConfigError: the URL of the database is missing.
    """
    if settings.redis_url is not None:
        _log.warning("redis_url is set, but this version dispatches from PostgreSQL alone")
    return LedgeredEngine(_ledger(settings))


def _ledger(settings: Settings) -> Ledger:
    if not settings.database_url:
        raise ConfigError(
            "no database is configured; set HEADRACE_DATABASE_URL or give "
            'Headrace(database_url="postgresql://user:password@host:5432/database")'
        )
    return PostgresLedger(settings.database_url, size=settings.pool_size)
