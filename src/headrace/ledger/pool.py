"""Pools of connections to PostgreSQL."""

import asyncio
import logging
from collections.abc import Mapping

import asyncpg

from headrace.errors import LedgerUnavailable
from headrace.ledger.faults import translated
from headrace.ledger.url import place, reaching, sessions_are_pooled

_log = logging.getLogger("headrace.ledger")
MINIMUM_VERSION = 140000
_CLOSING = 5.0
PATIENCE = 60.0  # seconds for a statement of ours

# Every statement of ours is a walk of an index from a few keys. These keep a plan that was cached
# while a table was small from scanning it when it is large, until autovacuum has looked. Our plans
# do not depend on the values, and to plan a claim over all partitions takes longer than to run it.
# They are not for what an application runs on a connection of ours.
PLANS = {
    "jit": "off",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
}
LOCAL_PLANS = "; ".join(f"SET LOCAL {name} = {value}" for name, value in PLANS.items())
_CACHED = 100  # statements; more than we have


async def open_pool(
    url: str, *, size: int, prepared: bool = True
) -> "asyncpg.Pool[asyncpg.Record]":
    """Connect to PostgreSQL, for statements of ours.

    Args:
        url: postgresql://user:password@host:port/database
        size: connections at most.
        prepared: with our planner settings, and statements that stay prepared. Without, a statement
            must stand in a transaction with `LOCAL_PLANS`.

    Raises:
        ConfigError: the URL is none of PostgreSQL, or something in between pools sessions.
        LedgerUnavailable: refused, wrong password, unknown database, no answer, or too old.
    """
    pool = await _connect(
        url,
        size=size,
        least=1,
        command_timeout=PATIENCE,
        settings=PLANS if prepared else {},
        prepared=prepared,
    )
    try:
        with translated():
            await _check_server(pool, place(url), prepared=prepared)
    except BaseException:
        await pool.close()
        raise
    return pool


async def open_pool_for_handlers(
    url: str, *, size: int, prepared: bool = True
) -> "asyncpg.Pool[asyncpg.Record]":
    """Connections for statements of the application's: without settings or a timeout of ours.

    None is opened before it is needed.
    """
    return await _connect(
        url, size=size, least=0, command_timeout=None, settings={}, prepared=prepared
    )


async def close_pool(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    """Close every connection; one that is still held after a few seconds is cut off.

    A handler that ignores its end holds its own for ever, and its process must end all the same.
    """
    try:
        async with asyncio.timeout(_CLOSING):
            await pool.close()
    except TimeoutError:
        _log.warning("connections to PostgreSQL are cut off: something still holds them")
        pool.terminate()


async def _connect(
    url: str,
    *,
    size: int,
    least: int,
    command_timeout: float | None,
    settings: Mapping[str, str],
    prepared: bool,
) -> "asyncpg.Pool[asyncpg.Record]":
    with reaching(url):
        return await asyncpg.create_pool(
            url,
            min_size=least,
            max_size=size,
            timeout=10,
            command_timeout=command_timeout,
            server_settings={"application_name": "headrace", **settings},
            statement_cache_size=_CACHED if prepared else 0,
            reset=_keep,
        )


async def _check_server(
    pool: "asyncpg.Pool[asyncpg.Record]", where: str, *, prepared: bool
) -> None:
    async with pool.acquire() as connection, connection.transaction():
        version = await connection.fetchval("SELECT current_setting('server_version_num')::int")
        plans = await connection.fetchval("SELECT current_setting('plan_cache_mode')")
    if version < MINIMUM_VERSION:
        raise LedgerUnavailable(
            f"PostgreSQL at {where} is version {version // 10000}; "
            f"headrace needs {MINIMUM_VERSION // 10000} or newer"
        )
    if prepared and plans != PLANS["plan_cache_mode"]:
        raise sessions_are_pooled(where)


async def _keep(_connection: object) -> None:
    """Our statements leave no session state behind, so a reset would be a wasted round trip."""
