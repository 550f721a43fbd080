"""A peer at work: its place on the servers, its processes and its marks."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers.catalogue import Peer
from benchmarks.peers.conversation import Producer, Workers, producer, workers
from benchmarks.peers.environments import Environment
from benchmarks.peers.marks import Marks
from benchmarks.peers.plan import Plan
from benchmarks.peers.servers import Servers

_CHECK = 0.5  # seconds between two looks whether the workers are alive


@dataclass(slots=True)
class Stand:
    """A peer at work.

    Attributes:
        peer: which.
        environment: where it lives.
        servers: both.
        marks: what its handlers write.
        log: what its processes say.
        plan: sizes.
        bulk: jobs a bulk call; 0 where it has none.
        pace: jobs a second, as last seen, by task and by "fill".
        fastest: how a backlog is made, "single", "concurrent" or "bulk".
        redis: the database of Valkey that it uses; the first where empty.
    """

    peer: Peer
    environment: Environment
    servers: Servers
    marks: Marks
    log: Path
    plan: Plan
    bulk: int = 0
    pace: dict[str, float] = field(default_factory=dict)
    fastest: str = "concurrent"
    redis: str = ""

    def variables(self, **more: str) -> dict[str, str]:
        """Of the environment of its processes."""
        return {
            "PEER_DATABASE_URL": self.servers.database_url(self.peer),
            "PEER_REDIS_URL": self.redis or self.servers.redis_url(),
            "PEER_MARKS": str(self.marks.folder),
            **more,
        }

    async def renew(self) -> None:
        """Fresh servers."""
        self.marks.clear()
        await self.servers.renew_valkey()
        await self.servers.renew_database(self.peer)

    @asynccontextmanager
    async def fresh(self) -> AsyncIterator[Producer]:
        """Fresh servers and a producer that is connected."""
        await self.renew()
        async with self.producer() as one:
            yield one

    @asynccontextmanager
    async def producer(self, **order: int) -> AsyncIterator[Producer]:
        """A producer that is connected."""
        async with producer(self.peer, self.environment, self.variables(), self.log) as one:
            await one.order("open", **order)
            yield one

    @asynccontextmanager
    async def crew(self, number: int = 1, **variables: str) -> AsyncIterator[Workers]:
        """Worker processes."""
        told = self.variables(**variables)
        async with workers(
            self.peer,
            self.environment,
            told,
            self.log,
            number=number,
            concurrency=self.plan.concurrency,
        ) as crew:
            yield crew

    async def fill(self, one: Producer, task: str, n: int, seconds: float) -> int:
        """Enqueue `n` jobs by the fastest way, or as many as the time allows."""
        how = "bulk" if self.bulk else self.fastest
        done = await one.order("enqueue", how=how, task=task, n=n, seconds=seconds, within=seconds)
        if done["seconds"] > 0:
            self.pace["fill"] = done["n"] / done["seconds"]
        return int(done["n"])

    async def reach(self, crew: Workers, count: int, within: float) -> bool:
        """Wait for so many jobs to begin; a worker that ended meanwhile is an error."""
        end = time.monotonic() + within
        while (left := end - time.monotonic()) > 0:
            if await self.marks.reach(count, min(left, _CHECK)):
                return True
            crew.check()
        return False
