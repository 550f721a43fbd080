"""The URL of a database, and clear words where it leads nowhere."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import SplitResult, parse_qsl, urlsplit

import asyncpg

from headrace.errors import ConfigError, HeadraceError, LedgerUnavailable
from headrace.model.server_url import Form, read_server_url
from headrace.tls_files import Names, unusable_file

_FORM = Form(
    "the database URL", ("postgresql", "postgres"), "postgresql://user:password@host:5432/database"
)

_TLS = Names("sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl")


@contextmanager
def reaching(url: str) -> Iterator[None]:
    """Connect within; what the driver says then is told in our words.

    Raises:
        ConfigError: the URL is none of PostgreSQL, or leads to something that pools sessions.
        LedgerUnavailable: refused, wrong password, unknown host or database, or no answer.
    """
    parts = read_server_url(url, _FORM)
    where = place(url)
    hint = "the URL" if parts.hostname or parts.query else "the URL, which names no host"
    try:
        yield
    except (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError) as exc:
        raise _refused(where) from exc
    except asyncpg.InvalidCatalogNameError as exc:
        raise LedgerUnavailable(f"PostgreSQL at {where} {_no_database(parts)}") from exc
    except asyncpg.ProtocolViolationError as exc:  # so PgBouncer says all
        raise _as_pgbouncer_says(str(exc), where) from exc
    except ssl.SSLError as exc:
        raise _no_tls(where, parts) or _not_trusted(where, exc) from exc
    except socket.gaierror as exc:
        raise LedgerUnavailable(
            f"the host of PostgreSQL at {where} is not known here ({exc.strerror}); check {hint}"
        ) from exc
    except asyncpg.ClientConfigurationError as exc:
        raise ConfigError(f"the database URL cannot be used: {exc}; change it") from exc
    except (FileNotFoundError, IsADirectoryError, PermissionError) as exc:
        raise _no_tls(where, parts) or _unreachable(where, hint, exc) from exc
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as exc:
        raise _unreachable(where, hint, exc) from exc
    except ValueError as exc:  # of a host that has no form on the wire
        raise _FORM.refusal("names a host that cannot be") from exc


def place(url: str) -> str:
    """Where a URL leads, without user and password."""
    parts = urlsplit(url)
    return f"{parts.hostname or 'localhost'}:{parts.port or 5432}{parts.path}"


def _unreachable(where: str, hint: str, exc: Exception) -> LedgerUnavailable:
    return LedgerUnavailable(
        f"PostgreSQL at {where} cannot be reached ({str(exc) or 'no answer'}); "
        f"check that it runs and {hint}"
    )


def _no_tls(where: str, parts: SplitResult) -> LedgerUnavailable | None:
    """The sentence about a file that the URL names, where that is to blame."""
    wrong = unusable_file(dict(parse_qsl(parts.query)), _TLS)
    if wrong is None:
        return None
    return LedgerUnavailable(f"PostgreSQL at {where} cannot be asked over TLS: {wrong}")


def _refused(where: str) -> LedgerUnavailable:
    return LedgerUnavailable(f"PostgreSQL at {where} refused the user or password; check the URL")


def _as_pgbouncer_says(said: str, where: str) -> HeadraceError:
    if "startup parameter" in said:
        return sessions_are_pooled(where)
    if "authentication failed" in said or "no such user" in said:
        return _refused(where)
    return LedgerUnavailable(f"PostgreSQL at {where} refused the connection: {said}")


def _not_trusted(where: str, exc: ssl.SSLError) -> LedgerUnavailable:
    why = getattr(exc, "verify_message", None) or exc.reason or str(exc)
    return LedgerUnavailable(
        f"PostgreSQL at {where} is not trusted over TLS ({why}); check sslrootcert and sslmode in "
        "the URL, and the names in the server's certificate"
    )


def sessions_are_pooled(where: str) -> ConfigError:
    """The sentence about a PgBouncer that we were not told of."""
    return ConfigError(
        f"PostgreSQL at {where} is reached through PgBouncer or the like, where sessions keep no "
        "settings and no prepared statements; set HEADRACE_PREPARED_STATEMENTS=false"
    )


def _no_database(parts: SplitResult) -> str:
    if parts.path.strip("/") or parts.query or not parts.username:
        return "has no such database; create it"
    return (
        f"has no database {parts.username!r}; the URL names none, so it is that of the user: "
        "add /DATABASE"
    )
