"""Jobs that are of no use after some moment."""

from datetime import UTC, datetime, timedelta

from headrace.model.job import Delivery
from headrace.model.made_at import made_at
from headrace.model.verdict import describe

EXPIRES = "expires"
"""The key of `headers`: seconds from when the job was made, or the moment itself (ISO 8601)."""


def as_header(expires: timedelta | datetime) -> float | str:
    """What is kept with the job."""
    if isinstance(expires, timedelta):
        return expires.total_seconds()
    return expires.astimezone(UTC).isoformat()


def error_if_expired(delivery: Delivery, now: datetime) -> str | None:
    """The error of a job that must not start any more; None for one that may.

    Args:
        delivery: the job.
        now: on the ledger's clock.
    """
    said = (delivery.headers or {}).get(EXPIRES)
    if said is None:
        return None
    if isinstance(said, str):
        last = datetime.fromisoformat(said)
    else:
        last = made_at(delivery.id) + timedelta(seconds=said)
    if now <= last:
        return None
    return describe("Expired", f"it did not start until {last:%Y-%m-%d %H:%M:%S} UTC, and expired")
