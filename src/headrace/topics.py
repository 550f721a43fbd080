"""Topics: an event is published once, and each subscription gets a job for it."""

from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

import msgspec

from headrace.errors import BadArguments, BadPayload, UsageError
from headrace.handle import JobHandle
from headrace.model.job import NewJob
from headrace.model.links import OnDead, check_on_dead
from headrace.model.names import check_name
from headrace.model.shown import shown
from headrace.model.text import check_text
from headrace.model.topic import Subscribing
from headrace.payload import decode_hook, encode
from headrace.ports.engine import Engine
from headrace.task import Task

E = TypeVar("E")
T = TypeVar("T")


class Owner(Protocol):
    """What topics need of their application."""

    name: str

    @property
    def engine(self) -> Engine:
        """The engine of the running event loop."""

    @property
    def max_payload(self) -> int:
        """Bytes that an event may take."""

    async def declare(self) -> None:
        """Make known what was registered since the start."""

    async def put(
        self, make: Callable[[Callable[[], UUID]], list[NewJob]], tx: object
    ) -> list[JobHandle[Any]]:
        """Insert what is made with ids of the ledger's clock, all or none."""

    def call_sync(self, make: Callable[[], Coroutine[Any, Any, T]], instead: str) -> T:
        """Run a coroutine in the portal's event loop."""


class Topic(Generic[E]):
    """What events are published to, and subscribed to. Made by `app.topic(name, type)`.

    Attributes:
        name: of the topic, the same for all applications of the database.
    """

    def __init__(
        self, app: Owner, name: str, kind: type[E] | None, said: list[Subscribing]
    ) -> None:
        self._app = app
        self.name: str = check_name("topic", name)
        self._said = said
        self._decoder: msgspec.json.Decoder[Any] | None = None
        if kind is not None:
            self._decoder = msgspec.json.Decoder(kind, dec_hook=decode_hook)

    def subscribe(self, name: str, *, on_dead: OnDead = "block") -> Callable[[T], T]:
        """Have a task run for each event: `@paid.subscribe("billing")` above `@app.task()`.

        The task takes the event as its one argument; its queue, retries and dead letters are those
        of any task. The subscription begins when the application starts for the first time, and
        stays while no worker runs.

        Args:
            name: of the subscription, one within the topic. All workers that have it share its
                events.
            on_dead: what a dead job means to later events of its key: "block", they wait until it
                is replayed or deleted, or "skip".

        Raises:
            UsageError: the name is not allowed or taken, or the task does not take one argument.
        """
        check_name("subscription", name)
        check_on_dead(on_dead)

        def subscribe(task: T) -> T:
            if not isinstance(task, Task):
                raise UsageError(
                    f'@topic.subscribe("{name}") stands above a task, not {shown(task)}; write it '
                    "above @app.task()"
                )
            argument = task.sole_argument
            if argument is None:
                raise UsageError(
                    f'task "{task.name}" cannot subscribe to topic "{self.name}": a subscriber is '
                    "called with the event alone; give it one argument, and others defaults"
                )
            if any((one["topic"], one["name"]) == (self.name, name) for one in self._said):
                raise UsageError(
                    f'topic "{self.name}" has a subscription "{name}" already; give one of them '
                    "another name"
                )
            self._said.append(
                Subscribing(
                    topic=self.name,
                    name=name,
                    task=task.name,
                    argument=argument,
                    on_dead=on_dead,
                )
            )
            return task

        return subscribe

    async def publish(
        self, event: E, *, key: str | None = None, tx: object = None
    ) -> list[JobHandle[Any]]:
        """Insert a job for each subscription, all or none: durable when it returns.

        Args:
            event: stored as JSON.
            key: each subscription runs the events of a key one after the other, in the order of
                their commits; None: in no order.
            tx: the transaction to insert in, an open one, as in `task.enqueue`.

        Returns:
            A handle for each subscription, by its name; none where nobody has subscribed.

        Raises:
            BadArguments: the event is not of the topic's type.
            BadPayload: it cannot be stored.
            LedgerUnavailable: the ledger is away; nothing was inserted.
            OutcomeUnknown: the ledger went away meanwhile; the jobs may be there.
        """
        return await self.publish_many((event,), key=key, tx=tx)

    async def publish_many(
        self, events: Iterable[E], *, key: str | None = None, tx: object = None
    ) -> list[JobHandle[Any]]:
        """As `publish`, with many events: the jobs of the first one, then those of the next."""
        if key is not None:
            check_text("key", key, least=1)
        encoded = [self._encode(event) for event in events]
        await self._app.declare()
        subscriptions = await self._app.engine.inspector.topics.subscriptions(self.name)

        def make(new_id: Callable[[], UUID]) -> list[NewJob]:
            events = [(new_id(), event) for event in encoded]
            return [one.job(new_id(), *event, key) for event in events for one in subscriptions]

        return await self._app.put(make, tx) if subscriptions and encoded else []

    def publish_sync(
        self, event: E, *, key: str | None = None, tx: object = None
    ) -> list[JobHandle[Any]]:
        """As `publish`, where no event loop runs; `tx` as in `task.enqueue_sync`."""
        return self._sync(lambda: self.publish(event, key=key, tx=tx), "publish")

    def publish_many_sync(
        self, events: Iterable[E], *, key: str | None = None, tx: object = None
    ) -> list[JobHandle[Any]]:
        """As `publish_many`, where no event loop runs."""
        return self._sync(lambda: self.publish_many(events, key=key, tx=tx), "publish_many")

    def _sync(self, make: Callable[[], Coroutine[Any, Any, T]], verb: str) -> T:
        return self._app.call_sync(make, f"await topic.{verb}(...)")

    def _encode(self, event: E) -> bytes:
        try:
            encoded = encode(event, self._app.max_payload)
        except BadPayload as exc:
            raise BadPayload(f'topic "{self.name}": the event {exc}') from exc
        if self._decoder is not None:
            try:
                self._decoder.decode(encoded)
            except msgspec.ValidationError as exc:
                raise BadArguments(
                    f'topic "{self.name}" does not take {shown(event)}: {exc}'
                ) from exc
        return encoded


class Topics:
    """The topics of an application."""

    def __init__(self, app: Owner) -> None:
        self._app = app
        self._said: list[Subscribing] = []

    @property
    def said(self) -> Sequence[Subscribing]:
        """The subscriptions that the code of this application says."""
        return self._said

    def topic(self, name: str, kind: type[E] | None) -> Topic[E]:
        """One of them."""
        return Topic(self._app, name, kind, self._said)
