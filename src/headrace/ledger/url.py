"""The URL of a database, and clear words where it leads nowhere."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import asyncpg

from headrace.errors import ConfigError, LedgerUnavailable

_UNREADABLE = (
    "the database URL cannot be read; write postgresql://user:password@host:5432/database, "
    "with the special characters of the password percent-encoded"
)


@contextmanager
def reaching(url: str) -> Iterator[None]:
    """Connect within; what the driver says then is told in our words.

    Raises:
        ConfigError: the URL is none of PostgreSQL.
        LedgerUnavailable: refused, wrong password, unknown host or database, or no answer.
    """
    check_url(url)
    where = place(url)
    try:
        yield
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


def place(url: str) -> str:
    """Where a URL leads, without user and password."""
    parts = urlsplit(url)
    return f"{parts.hostname or 'localhost'}:{parts.port or 5432}{parts.path}"
