"""The queues that the ledger has, as this process knows them."""

from collections.abc import Iterable, Mapping

from headrace.errors import ConfigError, UnknownQueue
from headrace.ledger.queries import Queries
from headrace.model.names import unknown as unknown_name
from headrace.model.promise import Promise, declared_otherwise


class KnownQueues:
    """Makes queues known, and what they promise.

    Attributes:
        ids: of all queues, by name, as they were asked for last.
    """

    def __init__(self, queries: Queries) -> None:
        self._queries = queries
        self.ids: dict[str, int] = {}

    async def declare(self, names: Iterable[str]) -> None:
        """Make queues known, and learn the ids of all."""
        wanted = set(names)
        await self._learn(wanted)
        if not wanted <= self.ids.keys():
            # Somebody added one while we waited for it: our statement is older than that.
            await self._learn(wanted)

    async def _learn(self, names: Iterable[str]) -> None:
        rows = await self._queries.fetch("declare_queues", sorted(names))
        self.ids = {row["name"]: row["id"] for row in rows}

    async def promise(self, said: Mapping[str, Promise]) -> None:
        """Let queues promise this, where nobody has said anything yet.

        Raises:
            ConfigError: one of them promises something else.
        """
        told = sorted(said), [said[name] for name in sorted(said)]
        await self._queries.fetch("declare_promises", *told)
        for row in await self._queries.fetch("promised_otherwise", *told):
            name, ours = row["name"], said[row["name"]]
            raise ConfigError(declared_otherwise(name, row["promise"], ours))

    async def require(self, queues: Iterable[str]) -> None:
        """See that these are known.

        Raises:
            UnknownQueue: one is not.
        """
        unknown = set(queues) - self.ids.keys()
        if unknown:
            await self.declare(())  # another process may have made it known since
            unknown -= self.ids.keys()
        if unknown:
            name = min(unknown)
            refusal = unknown_name("queue", name, sorted(self.ids))
            raise UnknownQueue(f'{refusal}; declare a new one with app.queue("{name}")')
