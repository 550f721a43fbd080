"""What a worker and the processes of its handlers say to each other, over a socket pair.

Four bytes of length, then MessagePack.
"""

import asyncio
from typing import TypeVar
from uuid import UUID

import msgspec
from msgspec.msgpack import Decoder

from headrace.model.cancellation import Cancellation
from headrace.model.job import Delivery, Settlement
from headrace.worker.conclude import Conclusion

_LENGTH = 4
T = TypeVar("T")


class Hello(msgspec.Struct, tag=True):
    """The first word to a new process.

    Attributes:
        paths: where modules are found (`sys.path`).
        modules: those that have the tasks.
        application: the name of their application.
    """

    paths: list[str]
    modules: list[str]
    application: str


class Order(msgspec.Struct, tag=True):
    """Run this job, of a delivery to this worker."""

    delivery: Delivery
    worker: UUID


class Wish(msgspec.Struct, tag=True):
    """Somebody wants the job under way to end."""

    cancellation: Cancellation


class Ready(msgspec.Struct, tag=True):
    """The application is there: orders may come."""


class Unfit(msgspec.Struct, tag=True):
    """The application is not there, and never will be in this process."""

    error: str


class Began(msgspec.Struct, tag=True):
    """The order is read: from now on the death of the process is the job's."""


class Prolonged(msgspec.Struct, tag=True):
    """The handler asked for so many seconds from now, and the ledger granted them."""

    seconds: float


class Done(msgspec.Struct, tag=True):
    """The attempt is over.

    Attributes:
        ended: what to settle, or why nothing is to be.
        resident: bytes of memory that the process takes now.
    """

    ended: Settlement | Conclusion
    resident: int


Told = Hello | Order | Wish
Answered = Ready | Unfit | Began | Prolonged | Done
TOLD: Decoder[Told] = Decoder(Told)
ANSWERED: Decoder[Answered] = Decoder(Answered)


def send(writer: asyncio.StreamWriter, message: Told | Answered) -> None:
    """Send a message; one that is small enough never waits."""
    body = msgspec.msgpack.encode(message)
    writer.write(len(body).to_bytes(_LENGTH) + body)


async def receive(reader: asyncio.StreamReader, decoder: Decoder[T]) -> T | None:
    """The next message; None if the other side is gone."""
    try:
        length = int.from_bytes(await reader.readexactly(_LENGTH))
        body = await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    return decoder.decode(body)
