"""When something was made, by its id."""

from datetime import UTC, datetime
from uuid import UUID


def made_at(made: UUID) -> datetime:
    """The first 48 bits of an id are milliseconds, on the ledger's clock (RFC 9562, UUIDv7)."""
    return datetime.fromtimestamp((made.int >> 80) / 1000, UTC)
