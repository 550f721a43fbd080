"""What an engine's inspector keeps of topics: who gets what is published."""

import pytest

from headrace.errors import ConfigError
from headrace.model.topic import TOPIC, Subscribing
from headrace.testing.engines.rig import TASK, Rig

PAID = "orders.paid"


def subscribing(name: str, topic: str = PAID, argument: str = "to") -> Subscribing:
    """What code says."""
    return Subscribing(topic=topic, name=name, task=TASK, argument=argument, on_dead="block")


class TopicKeeping:
    """Tests of topics."""

    async def test_each_subscription_of_a_topic_gets_a_job_of_its_task(self, rig: Rig) -> None:
        topics = rig.engine.inspector.topics
        said = [subscribing("mail"), subscribing("stock"), subscribing("other", "orders.sent")]
        await topics.declare("shop", said)
        ids = await topics.publish(PAID, b'"a"')
        taken = await rig.take()
        assert {one.id for one in taken} == set(ids)
        assert {one.payload.replace(b" ", b"") for one in taken} == {b'{"to":"a"}'}
        heard = [one.headers[TOPIC] for one in taken if one.headers]
        assert {(one["name"], one["subscription"]) for one in heard} == {
            (PAID, "mail"),
            (PAID, "stock"),
        }
        assert len({one["event"] for one in heard}) == 1

    async def test_what_nobody_listens_to_is_no_job(self, rig: Rig) -> None:
        assert await rig.engine.inspector.topics.publish(PAID, b"{}") == []
        assert await rig.take() == []

    async def test_what_code_says_again_is_the_same_subscription(self, rig: Rig) -> None:
        topics = rig.engine.inspector.topics
        await topics.declare("shop", [subscribing("mail")])
        (before,) = await topics.subscriptions()
        assert (before.task, before.argument, before.app) == (TASK, "to", "shop")
        await topics.declare("shop", [subscribing("mail", argument="subject")])
        (after,) = await topics.subscriptions(PAID)
        assert after.argument == "subject"
        assert after.created_at == before.created_at
        assert await topics.subscriptions("orders.sent") == []

    async def test_a_subscription_of_another_application_is_refused(self, rig: Rig) -> None:
        topics = rig.engine.inspector.topics
        await topics.declare("shop", [subscribing("mail")])
        with pytest.raises(ConfigError, match=r'"mail" of topic "orders.paid" belongs to applicat'):
            await topics.declare("books", [subscribing("mail", argument="subject")])
        (kept,) = await topics.subscriptions()
        assert (kept.app, kept.argument) == ("shop", "to")

    async def test_who_unsubscribed_gets_no_more_events(self, rig: Rig) -> None:
        topics = rig.engine.inspector.topics
        await topics.declare("shop", [subscribing("mail"), subscribing("stock")])
        await topics.publish(PAID, b'"first"')
        assert [await topics.unsubscribe(PAID, "mail") for _ in range(2)] == [True, False]
        await topics.publish(PAID, b'"second"')
        assert len(await rig.take()) == 3
