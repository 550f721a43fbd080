"""The bell of direct mode: NOTIFY after commit, heard by LISTEN on a connection of its own."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from uuid import UUID

import asyncpg

from headrace.errors import LedgerError
from headrace.ledger.faults import translated
from headrace.ledger.queries import Queries

_log = logging.getLogger("headrace.ledger")
_CHANNEL = "headrace"
_PAUSE = 0.002
_LONGEST = 0.05  # protocol 3.8: so often a process rings at most, however much it enqueues
_PATIENCE = 10.0


class _Ear:
    """What one worker was not told yet."""

    def __init__(self) -> None:
        self.rung: set[str] = set()
        self.nudged = False
        self.event = asyncio.Event()


class PostgresBell:
    """Rings for new jobs, and listens for idle workers.

    Args:
        url: postgresql://user:password@host:port/database
        queries: what it rings by.
        listens: keep a connection for listening.
    """

    def __init__(self, url: str, queries: Queries, *, listens: bool = True) -> None:
        self._url = url
        self._queries = queries
        self._listens = listens
        self._due: set[str] = set()
        self._tolling: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self._ears: dict[UUID, _Ear] = {}
        self._connecting = asyncio.Lock()
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._deaf = False

    def ring(self, queues: Iterable[str]) -> None:
        """Tell at once, or together with others a moment later."""
        self._due.update(queues)
        if self._due and (self._tolling is None or self._tolling.done()):
            self._tolling = asyncio.create_task(self._toll(), name="headrace bell")

    def ring_here(self, queues: Iterable[str]) -> None:
        """Tell the workers of this process, now."""
        for ear in self._ears.values():
            ear.rung.update(queues)
            ear.event.set()

    async def wait(self, worker: UUID, queues: Sequence[str], seconds: float) -> str | None:
        """Wait for one of these queues."""
        ear = self._ears.setdefault(worker, _Ear())
        if not self._listens or not await self._hears():
            return None
        try:
            async with asyncio.timeout(seconds):
                while not ear.nudged:
                    if rung := ear.rung.intersection(queues):
                        ear.rung.discard(queue := min(rung))
                        return queue
                    ear.event.clear()
                    await ear.event.wait()
        except TimeoutError:
            return None
        self._ears.pop(worker, None)
        return None

    def nudge(self, worker: UUID) -> None:
        """End the worker's wait, or the next one."""
        ear = self._ears.setdefault(worker, _Ear())
        ear.nudged = True
        ear.event.set()

    async def close(self) -> None:
        """Ring what is to be rung and listen no more."""
        self._closing.set()
        if self._tolling is not None:
            await asyncio.wait([self._tolling])
        async with self._connecting:  # one that is about to come would be left open
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()
        for ear in self._ears.values():
            ear.nudged = True
            ear.event.set()
        self._ears.clear()
        self._closing.clear()

    async def _toll(self) -> None:
        """Ring, and less and less often while there is always more to tell."""
        pause = _PAUSE
        while self._due:
            queues, self._due = sorted(self._due), set()
            try:
                await self._queries.fetch("ring", queues)
            except LedgerError as exc:
                _log.info("idle workers find new jobs by themselves: %s", exc)
            try:
                async with asyncio.timeout(pause):
                    await self._closing.wait()
            except TimeoutError:
                pause = min(pause * 2, _LONGEST)

    async def _hears(self) -> bool:
        """Listen, if we do not; what was missed meanwhile is found by who looks for itself."""
        async with self._connecting:
            if self._connection is None or self._connection.is_closed():
                try:
                    self._connection = await self._connect()
                except LedgerError as exc:
                    if not self._deaf:
                        _log.warning("new jobs are looked for, not heard of: %s", exc)
                    self._deaf = True
                    return False
                self._deaf = False
        return True

    async def _connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        with translated():
            connection = await asyncpg.connect(
                self._url,
                timeout=_PATIENCE,
                server_settings={"application_name": "headrace listening"},
            )
            try:
                await connection.add_listener(_CHANNEL, self._heard)
            except BaseException:
                connection.terminate()
                raise
        return connection

    def _heard(self, _connection: object, _pid: int, _channel: str, queue: object) -> None:
        self.ring_here([str(queue)])
