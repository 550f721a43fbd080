"""Brings mail into the mailroom, each piece once, over connections that may break."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self, TypeVar

import asyncpg

from headrace.errors import LedgerUnavailable
from headrace.ledger.faults import translated
from headrace.ledger.migrate import connect
from headrace.mailroom.app import prepare, register
from headrace.mailroom.sources import RawMessage

_AGAIN = 0.2
T = TypeVar("T")


class Postman:
    """One connection, made anew whenever it breaks. Use it with `async with`.

    Args:
        url: of the database.
        patience: seconds without a database before it gives up.

    Attributes:
        brought: how many messages so far.
    """

    def __init__(self, url: str, *, patience: float) -> None:
        self._url = url
        self._patience = patience
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self.brought: int = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._connection is not None:
            self._connection.terminate()

    async def begin(self, source: str) -> int:
        """Make the tables where they are missing; returns the number of a new batch."""
        return await self.ask(lambda connection: prepare(connection, source))

    async def bring(
        self, batch: int, message: RawMessage, *, delay: str = "0s", priority: str = "normal"
    ) -> None:
        """Register a message. Where the reply to the COMMIT was lost it is found to be there."""

        async def once(connection: Any) -> None:  # noqa: ANN401 - a connection of asyncpg
            try:
                await register(connection, batch, message, delay=delay, priority=priority)
            except asyncpg.UniqueViolationError:
                return  # with it, its second job was rolled back

        await self.ask(once)
        self.brought += 1

    async def ask(self, work: Callable[[Any], Awaitable[T]]) -> T:
        """What `work` answers, given a connection; done again where that breaks.

        Raises:
            LedgerUnavailable: there was none for as long as the patience lasts.
        """
        until = time.monotonic() + self._patience
        while True:
            try:
                if self._connection is None or self._connection.is_closed():
                    self._connection = await connect(self._url)
                with translated():
                    return await work(self._connection)
            except LedgerUnavailable:
                if self._connection is not None:
                    self._connection.terminate()
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(_AGAIN)
