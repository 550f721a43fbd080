"""What a webhook brings, and what its sender is answered."""

from dataclasses import dataclass
from typing import Any

import msgspec


class Event(msgspec.Struct, frozen=True):
    """A verified event, as a task takes it: `async def handle(event: webhooks.Event)`.

    Attributes:
        id: what the sender calls it; the same when it is sent again.
        type: what happened, as the sender puts it; empty if it does not say.
        data: the whole of the body, as JSON.
    """

    id: str
    type: str
    data: Any


@dataclass(frozen=True, slots=True)
class Reply:
    """What to answer the sender.

    Attributes:
        status: 200 once the job is durable, or was before; 400 for what was not verified; 503 if
            the job could not be stored: then the sender repeats it.
        body: to be sent as JSON.
    """

    status: int
    body: dict[str, Any]
