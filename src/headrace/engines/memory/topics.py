"""Subscriptions of jobs in memory."""

from collections.abc import Sequence
from uuid import UUID

from headrace.engines.memory.book import Book
from headrace.errors import ConfigError
from headrace.model.topic import Subscribing, Subscription, belongs_to


class MemoryTopics:
    """The subscriptions in a `Book`."""

    def __init__(self, book: Book) -> None:
        self._book = book

    async def declare(self, app: str, said: Sequence[Subscribing]) -> None:
        """Make known what the code of an application says."""
        with self._book.lock:
            for one in said:
                key = (one["topic"], one["name"])
                before = self._book.subscriptions.get(key)
                if before is not None and before.app != app:
                    raise ConfigError(belongs_to(*key, before.app))
                task = self._book.tasks[one["task"]]
                self._book.subscriptions[key] = Subscription(
                    **one,
                    app=app,
                    queue=task.queue,
                    priority=task.priority,
                    max_attempts=task.max_attempts,
                    rerun_on_crash=task.rerun_on_crash,
                    created_at=self._book.clock.now() if before is None else before.created_at,
                )

    async def subscriptions(self, topic: str | None = None) -> list[Subscription]:
        """Those of a topic, or all, by topic and name."""
        with self._book.lock:
            found = sorted(self._book.subscriptions.items())
        return [one for key, one in found if topic in {None, key[0]}]

    async def publish(self, topic: str, event: bytes, key: str | None = None) -> list[UUID]:
        """Insert a job for each subscription; returns their ids."""
        event_id = self._book.new_id()
        found = await self.subscriptions(topic)
        jobs = [one.job(self._book.new_id(), event_id, event, key) for one in found]
        with self._book.lock:
            return [one.id for one in self._book.insert(jobs)]

    async def unsubscribe(self, topic: str, name: str) -> bool:
        """Let a subscription get no more events; its jobs stay."""
        with self._book.lock:
            return self._book.subscriptions.pop((topic, name), None) is not None
