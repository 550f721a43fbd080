"""Subscriptions in PostgreSQL."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from headrace.errors import ConfigError
from headrace.ledger.queries import Queries
from headrace.model.topic import Subscribing, Subscription, belongs_to

_FIELDS = Subscription.__struct_fields__


class PostgresTopics:
    """One method a statement of sql/."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def declare(self, app: str, said: Sequence[Subscribing]) -> None:
        """Make known what the code of an application says.

        Raises:
            ConfigError: a subscription of this name is another application's.
        """
        words = msgspec.json.encode(said).decode()
        for row in await self._queries.fetch("declare_subscriptions", app, words):
            raise ConfigError(belongs_to(row["topic"], row["name"], row["app"]))

    async def subscriptions(self, topic: str | None = None) -> list[Subscription]:
        """Those of a topic, or all, by topic and name."""
        rows = await self._queries.fetch("subscriptions", topic)
        return [Subscription(**{name: row[name] for name in _FIELDS}) for row in rows]

    async def publish(self, topic: str, event: bytes, key: str | None = None) -> list[UUID]:
        """Insert a job for each subscription; returns their ids."""
        (row,) = await self._queries.fetch("publish", topic, event.decode(), key)
        return list(row["jobs"])

    async def unsubscribe(self, topic: str, name: str) -> bool:
        """Let a subscription get no more events; its jobs stay. False if there is none."""
        return bool(await self._queries.fetch("unsubscribe", topic, name))
