"""headrace topics: who gets what is published."""

from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.options import AsJson, DatabaseUrl, Embedded
from headrace.errors import UsageError

if TYPE_CHECKING:
    from uuid import UUID

    from headrace.model.inspection import QueueCounts
    from headrace.model.topic import Subscription
    from headrace.ports.inspector import Inspector

app: typer.Typer = typer.Typer(
    help="Look at topics and who gets their events, and publish.", no_args_is_help=True
)

TopicName = Annotated[str, typer.Argument(metavar="TOPIC", help="The topic.")]


@app.command("list")
def list_topics(
    database_url: DatabaseUrl = None, embedded: Embedded = False, as_json: AsJson = False
) -> None:
    """List all subscriptions, and how far each is behind.

    What waits is counted by queue. With --json: {"subscriptions": [{"topic", "name", "task",
    "argument", "app", "queue", "priority", "max_attempts", "rerun_on_crash", "created_at",
    "behind", "oldest"}]}.
    """
    from msgspec.structs import asdict

    from headrace.cli.output import ago, print_json, print_table
    from headrace.cli.session import inspect

    async def work(
        inspector: "Inspector",
    ) -> "tuple[list[Subscription], dict[str, QueueCounts]]":
        found = await inspector.topics.subscriptions()
        queues = {one.queue: one for one in await inspector.queues()}
        return found, queues

    found, queues = inspect(database_url, embedded=embedded, work=work)
    if as_json:
        rows = [
            {**asdict(one), "behind": queues[one.queue].live, "oldest": queues[one.queue].oldest}
            for one in found
        ]
        print_json({"subscriptions": rows})
        return
    print_table(
        ("topic", "subscription", "task", "queue", "behind", "oldest", "declared by"),
        [
            (
                one.topic,
                one.name,
                one.task,
                one.queue,
                f"{queues[one.queue].live:,}",
                ago(queues[one.queue].oldest),
                one.app,
            )
            for one in found
        ],
        numbers=("behind", "oldest"),
    )


@app.command(short_help="Publish an event: a job for each subscription.")
def publish(
    topic: TopicName,
    event: Annotated[str, typer.Argument(metavar="JSON", help="Such as '{\"order\": 7}'.")],
    key: Annotated[
        str | None, typer.Option(help="Events of a key run one after the other.")
    ] = None,
    database_url: DatabaseUrl = None,
    embedded: Embedded = False,
    as_json: AsJson = False,
) -> None:
    """Publish an event: a job for each subscription, whose workers begin within a second.

    With --json: {"topic", "jobs": [ids]}.
    """
    import msgspec

    from headrace.cli.output import note, print_json, say
    from headrace.cli.session import inspect

    try:
        msgspec.json.decode(event)
    except msgspec.DecodeError as exc:
        raise UsageError(
            f"the event {event!r} is no JSON ({exc}); write '{{\"order\": 7}}', or '\"text\"'"
        ) from exc

    async def work(inspector: "Inspector") -> "list[UUID]":
        return await inspector.topics.publish(topic, event.encode(), key)

    jobs = inspect(database_url, embedded=embedded, work=work)
    if as_json:
        print_json({"topic": topic, "jobs": jobs})
        return
    for job_id in jobs:
        say(str(job_id))
    if not jobs:
        note(f'nobody subscribes to topic "{topic}"; headrace topics list shows all subscriptions')


@app.command(short_help="Let a subscription get no more events.")
def unsubscribe(
    topic: TopicName,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The subscription.")],
    database_url: DatabaseUrl = None,
    embedded: Embedded = False,
    as_json: AsJson = False,
) -> None:
    """Let a subscription get no more events; the jobs that it has stay.

    An application that still declares it makes it anew when it starts. With --json: {"topic",
    "name"}.
    """
    from headrace.cli.output import print_json, say
    from headrace.cli.session import inspect

    async def work(inspector: "Inspector") -> bool:
        return await inspector.topics.unsubscribe(topic, name)

    if not inspect(database_url, embedded=embedded, work=work):
        raise UsageError(
            f'topic "{topic}" has no subscription "{name}"; headrace topics list shows all'
        )
    if as_json:
        print_json({"topic": topic, "name": name})
    else:
        say(f'subscription "{name}" gets no more events of topic "{topic}"')
