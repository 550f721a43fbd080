"""Connections to PostgreSQL, and clear words where there are none."""

import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

import asyncpg

from headrace.errors import ConfigError, LedgerUnavailable
from headrace.ledger.faults import translated

MINIMUM_VERSION = 140000
PATIENCE = 60.0  # seconds for a statement of ours

_UNREADABLE = (
    "the database URL cannot be read; write postgresql://user:password@host:5432/database, "
    "with the special characters of the password percent-encoded"
)

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


async def open_pool(url: str, *, size: int) -> "asyncpg.Pool[asyncpg.Record]":
    """Connect to PostgreSQL, for statements of ours.

    Args:
        url: postgresql://user:password@host:port/database
        size: connections at most.

    Raises:
        ConfigError: the URL is none of PostgreSQL.
        LedgerUnavailable: refused, wrong password, unknown database, no answer, or too old.
    """
    pool = await _connect(url, size=size, least=1, command_timeout=PATIENCE, settings=PLANS)
    try:
        with translated():
            await _check_version(pool, _where(url))
    except BaseException:
        await pool.close()
        raise
    return pool


async def open_pool_for_handlers(url: str, *, size: int) -> "asyncpg.Pool[asyncpg.Record]":
    """Connections for statements of the application's: without settings or a timeout of ours.

    None is opened before it is needed.
    """
    return await _connect(url, size=size, least=0, command_timeout=None, settings={})


async def _connect(
    url: str,
    *,
    size: int,
    least: int,
    command_timeout: float | None,
    settings: Mapping[str, str],
) -> "asyncpg.Pool[asyncpg.Record]":
    check_url(url)
    where = _where(url)
    try:
        return await asyncpg.create_pool(
            url,
            min_size=least,
            max_size=size,
            timeout=10,
            command_timeout=command_timeout,
            server_settings={"application_name": "headrace", **settings},
            reset=_keep,
        )
    except (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError) as exc:
        raise LedgerUnavailable(
            f"PostgreSQL at {where} refused the user or password; check the URL"
        ) from exc
    except asyncpg.InvalidCatalogNameError as exc:
        raise LedgerUnavailable(f"PostgreSQL at {where} has no such database; create it") from exc
    except socket.gaierror as exc:
        raise LedgerUnavailable(
            f"the host of PostgreSQL at {where} is not known here ({exc.strerror}); check the URL"
        ) from exc
    except asyncpg.ClientConfigurationError as exc:
        raise ConfigError(f"the database URL cannot be used: {exc}; change it") from exc
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as exc:
        raise LedgerUnavailable(
            f"PostgreSQL at {where} cannot be reached ({str(exc) or 'no answer'}); "
            "check that it runs and the URL"
        ) from exc
    except ValueError as exc:  # of a host that has no form on the wire
        raise ConfigError(_UNREADABLE) from exc


def check_url(url: str) -> None:
    """Refuse what is no URL of PostgreSQL, without repeating what may be a password.

    Raises:
        ConfigError: the scheme is another one, or the URL cannot be read.
    """
    scheme, colon, _ = url.partition("://")
    if not colon or scheme not in ("postgresql", "postgres"):
        named = f"begins with {scheme!r}" if colon else "names no scheme"
        raise ConfigError(
            f"the database URL {named}; write postgresql://user:password@host:5432/database"
        )
    try:
        urlsplit(url).port  # noqa: B018 - reads and checks it
    except ValueError:
        raise ConfigError(_UNREADABLE) from None


def _where(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname or 'localhost'}:{parts.port or 5432}{parts.path}"


async def _check_version(pool: "asyncpg.Pool[asyncpg.Record]", where: str) -> None:
    version = await pool.fetchval("SELECT current_setting('server_version_num')::int")
    if version < MINIMUM_VERSION:
        raise LedgerUnavailable(
            f"PostgreSQL at {where} is version {version // 10000}; "
            f"headrace needs {MINIMUM_VERSION // 10000} or newer"
        )


async def _keep(_connection: object) -> None:
    """Our statements leave no session state behind, so a reset would be a wasted round trip."""
