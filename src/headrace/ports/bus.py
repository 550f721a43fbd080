"""The bus, as those who tell and those who hear know it. It tells; late or lost, never wrong."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol
from uuid import UUID

ROOM = 7_500
"""Bytes that a message may take: a NOTIFY holds 8,000."""


class Message(NamedTuple):
    """What is told on a channel.

    Attributes:
        channel: any name.
        body: a JSON document of at most `ROOM` bytes, no bare number.
    """

    channel: str
    body: bytes


class Gap(NamedTuple):
    """Something was told here that is not heard.

    Attributes:
        lost: how many messages; None where nobody knows, after the bus itself was away.
    """

    lost: int | None


Heard = Message | Gap


class Bus(Protocol):
    """Carries messages between the processes of one ledger; keeps none of them.

    Nothing is opened before it is needed, and an event loop has its own.
    """

    def belong_to(self, ledger: UUID) -> None:
        """Carry for this ledger from now on; it is met by no other."""

    async def heard(self) -> frozenset[str]:
        """The channels that somebody hears now, in any process.

        Raises:
            LedgerUnavailable, LaneUnavailable: the bus is away.
        """

    async def publish(self, messages: Sequence[Message]) -> None:
        """Tell whoever hears now; those of a channel stay in order.

        Raises:
            LedgerUnavailable, LaneUnavailable: the bus is away; some may be told.
        """

    async def lost(self, channel: str, count: int) -> None:
        """Tell whoever hears a channel that so many messages were dropped before they were told.

        Raises:
            LedgerUnavailable, LaneUnavailable: the bus is away.
        """

    def subscribe(
        self, channels: Collection[str]
    ) -> AbstractAsyncContextManager[AsyncIterator[Heard]]:
        """Hear these channels within the block: from its beginning on, until its end.

        Who reads slowly loses what is newest, and is told how much. A bus that goes away is waited
        for, and makes a `Gap`.

        Raises:
            LedgerUnavailable, LaneUnavailable: the bus is away at the beginning.
            ConfigError: the configuration leaves no way to hear anything.
        """

    async def close(self) -> None:
        """Disconnect; who hears still is at the end of what there is to hear."""
