"""Who gets what is published."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from headrace.model.topic import Subscribing, Subscription


class Topics(Protocol):
    """The subscriptions of the database, whoever declared them."""

    async def declare(self, app: str, said: Sequence[Subscribing]) -> None:
        """Make known what the code of an application says; what it said before stays.

        Raises:
            ConfigError: a subscription of this name is another application's.
        """

    async def subscriptions(self, topic: str | None = None) -> list[Subscription]:
        """Those of a topic, or all, by topic and name."""

    async def publish(self, topic: str, event: bytes, key: str | None = None) -> list[UUID]:
        """Insert a job for each subscription, without telling a lane of them; returns their ids.

        Args:
            topic: to publish to.
            event: JSON.
            key: a subscription runs the events of a key one after the other; None: in no order.
        """

    async def unsubscribe(self, topic: str, name: str) -> bool:
        """Let a subscription get no more events; its jobs stay. False if there is none.

        Code that still declares it makes it anew when it starts.
        """
