"""PostgreSQL's errors as ours: which mean that it is away, which that a call was refused."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from headrace.errors import (
    BadPayload,
    DuplicateJob,
    HeadraceError,
    LedgerBusy,
    LedgerError,
    LedgerFull,
    LedgerUnavailable,
    QueueFull,
    SchemaError,
    UnknownQueue,
    UnknownTask,
    UsageError,
)

# The codes that migrations/0002_enqueue.sql raises.
_OURS: dict[str, type[HeadraceError]] = {
    "HR001": UnknownTask,
    "HR002": UnknownQueue,
    "HR003": BadPayload,
    "HR004": UsageError,
    "HR005": DuplicateJob,
    "HR006": QueueFull,
}
_SESSIONS_MIXED = (
    "something between us and PostgreSQL pools sessions ({}); "
    "set HEADRACE_PREPARED_STATEMENTS=false"
)
# What to do about what PostgreSQL says.
_ADVICE = {
    "42P05": _SESSIONS_MIXED,  # a prepared statement is there already
    "26000": _SESSIONS_MIXED,  # it is not there any more
    "42501": (
        "PostgreSQL forbids the user of the URL something ({}); name the user that ran "
        "`headrace migrate`, or make this one a member of its role"
    ),
}
_SCHEMA_MISSING = {"3F000", "42P01", "42883"}
# Connection lost, cancelled or shutting down, out of memory or connections, deadlock, a fault of
# its disk, a standby: the statement did nothing, or will be found to have been done, and may be
# repeated.
_BUSY, _FULL = "55P03", "53100"
_AWAY_CLASSES = ("08", "25006", "40", "53", "57", "58")


@contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's errors into ours.

    Raises:
        LedgerUnavailable: the connection is gone or was refused; the statement may have run.
        SchemaError: a table is missing.
        UsageError: the statement was refused for what it was given.
        LedgerBusy: a lock could not be had in time.
        LedgerFull: its disk is full; the statement did nothing.
        LedgerError: anything else that PostgreSQL refused.
    """
    try:
        yield
    except asyncpg.PostgresError as exc:
        raise translate(exc.sqlstate or "", exc) from exc
    except asyncpg.InternalClientError as exc:
        raise LedgerUnavailable(f"the connection to PostgreSQL broke: {exc}") from exc
    except asyncpg.InterfaceError as exc:
        if isinstance(exc, asyncpg.DataError):
            raise LedgerError(f"PostgreSQL cannot take a value: {exc}") from exc
        raise LedgerUnavailable(f"the connection to PostgreSQL is closed: {exc}") from exc
    except (OSError, TimeoutError) as exc:
        raise LedgerUnavailable(f"PostgreSQL does not answer: {str(exc) or 'timeout'}") from exc


def _unavailable(code: str, exc: Exception) -> LedgerUnavailable:
    if code == _BUSY:
        return LedgerBusy(f"a lock could not be had in time ({exc}); try again")
    if code == _FULL:
        said = str(exc).partition("\n")[0]  # its hint is ours
        return LedgerFull(
            f"PostgreSQL has no room left ({said}); free some on its disk, then retry"
        )
    return LedgerUnavailable(f"PostgreSQL is away: {exc}")


def translate(code: str, exc: Exception) -> HeadraceError:
    """Our error for a SQLSTATE and what the driver said."""
    if code in _OURS:
        return _OURS[code](str(exc))
    if code in _SCHEMA_MISSING:
        return SchemaError(f"the schema of headrace is not there ({exc}); run `headrace migrate`")
    if code in _ADVICE:
        return LedgerError(_ADVICE[code].format(exc))
    if code.startswith((_BUSY, *_AWAY_CLASSES)):
        return _unavailable(code, exc)
    return LedgerError(f"PostgreSQL refused a statement ({code}): {exc}")
