"""Topics: what is published once and runs as one job of each subscription."""

from datetime import datetime
from typing import TypedDict
from uuid import UUID

import msgspec

from headrace.model.job import Headers, NewJob
from headrace.model.links import Links, OnDead

TOPIC = "topic"
"""The key of `headers` under which a job says what event it is for."""


class Subscribing(TypedDict):
    """What the code of an application says of a subscription, as JSON."""

    topic: str
    name: str
    task: str
    argument: str
    on_dead: OnDead


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """One of those who get a job for each event of a topic.

    Attributes:
        topic: what it listens to.
        name: of the subscription, one within its topic; all its workers share its jobs.
        task: that runs for each event; its queue, priority and attempts are those of the jobs.
        argument: the name of the argument that is the event.
        on_dead: what a dead job means to later events of its key.
        app: the application whose code declares it.
        created_at: events from then on are its own.
    """

    topic: str
    name: str
    task: str
    argument: str
    on_dead: OnDead
    app: str
    queue: str
    priority: int
    max_attempts: int
    rerun_on_crash: bool
    created_at: datetime

    def job(self, job_id: UUID, event_id: UUID, event: bytes, key: str | None) -> NewJob:
        """Its job for an event, which is JSON; those of a key run one after the other."""
        links: Links | None = None
        if key is not None:
            links = Links(order_key=f"{self.name}:{key}", on_dead=self.on_dead)
        return NewJob(
            id=job_id,
            task=self.task,
            queue=self.queue,
            payload=b'{"' + self.argument.encode() + b'":' + event + b"}",
            priority=self.priority,
            max_attempts=self.max_attempts,
            rerun_on_crash=self.rerun_on_crash,
            headers=headers_of(self.topic, self.name, event_id),
            links=links,
        )


def headers_of(topic: str, subscription: str, event_id: UUID) -> Headers:
    """What a job says of its event."""
    return {TOPIC: {"name": topic, "subscription": subscription, "event": str(event_id)}}


def belongs_to(topic: str, name: str, app: str) -> str:
    """The sentence that refuses the name of another application's subscription."""
    return (
        f'subscription "{name}" of topic "{topic}" belongs to application "{app}", whose workers '
        "share its jobs; give this one another name"
    )
