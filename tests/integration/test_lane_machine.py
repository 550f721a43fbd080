"""The same steps on both lanes, with the same clock, must give the same replies."""

import asyncio
from collections.abc import Awaitable
from typing import Any, ClassVar
from uuid import UUID, uuid4

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from redis.asyncio import Redis

from headrace.lanes.memory import MemoryLane
from headrace.lanes.redis.keys import Keys
from headrace.lanes.redis.lane import RedisLane
from headrace.model.entry import Ended, LaneEntry
from headrace.model.job import Delivery, Token
from headrace.ports.lane import Lane
from headrace.testing.lanes.rig import entry

IDS = [UUID(int=n) for n in range(12)]
WORKERS = [UUID(int=100), UUID(int=200)]
QUEUES = ["a", "b"]
workers, queues = st.sampled_from(WORKERS), st.sampled_from(QUEUES)
# Time passes in steps a little longer than a multiple of two seconds, and every span that a lane
# measures is such a multiple: what ends does so at the start of the two seconds that an example may
# take, never between the two lanes' replies.
LEASE = 18.0
STEPS = [2.005, 4.005, 8.005, 62.005]
subset = st.sets(st.integers(0, 5))


class Lanes(RuleBasedStateMachine):
    url: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        ledger = uuid4()
        self.redis = RedisLane(self.url, lease=LEASE)
        self.redis.belong_to(ledger)
        self.client = Redis.from_url(self.url)
        self.meta = Keys(ledger).meta.decode()
        self.clock = 0
        self.memory = MemoryLane(clock=lambda: self.clock / 1000, lease=LEASE)
        self.epoch = 1
        self.calls = dict.fromkeys(WORKERS, 0)
        self.hands: dict[UUID, list[Delivery]] = {worker: [] for worker in WORKERS}
        self.run(self.redis.open_epoch(1, grace=0))
        self.tick()
        self.run(self.memory.open_epoch(1, grace=0))
        for worker in WORKERS:
            self.both("beat", worker, [], 0)

    def run(self, call: Awaitable[Any]) -> Any:
        return self.loop.run_until_complete(asyncio.ensure_future(call, loop=self.loop))

    def tick(self) -> None:
        self.clock = int(self.run(self.client.hget(self.meta, "clock")))

    def both(self, verb: str, *args: object, **options: object) -> tuple[Any, Any]:
        real = self.run(self.on(self.redis, verb, *args, **options))
        told = self.redis._clock
        if verb == "expired":
            self.tick()
        elif told is not None:
            self.clock = max(self.clock, told[0])
        return real, self.run(self.on(self.memory, verb, *args, **options))

    def on(self, lane: Lane, verb: str, *args: object, **options: object) -> Awaitable[Any]:
        call: Awaitable[Any] = getattr(lane, verb)(self.epoch, *args, **options)
        return call

    def same(self, verb: str, *args: object, **options: object) -> Any:
        real, model = self.both(verb, *args, **options)
        assert real == model, verb
        return real

    def some(self, worker: UUID, which: set[int]) -> list[Delivery]:
        return [one for at, one in enumerate(self.hands[worker]) if at in which]

    def close_some(self, worker: UUID, which: set[int]) -> list[Delivery]:
        gone = self.some(worker, which)
        self.hands[worker] = [one for one in self.hands[worker] if one not in gone]
        return gone

    @rule(
        specs=st.lists(
            st.tuples(
                st.sampled_from(IDS),
                st.integers(1, 3),
                queues,
                st.sampled_from([1, 1, 3, 5, 10]),
                st.sampled_from([0.0, 0.0, 0.0, 6.0]),
                st.sampled_from([None, 0, 4000]),
                st.booleans(),
                st.booleans(),
            ),
            min_size=1,
            max_size=8,
        )
    )
    def put(self, specs: list[tuple[UUID, int, str, int, float, int | None, bool, bool]]) -> None:
        entries: list[LaneEntry] = []
        for id_, gen, queue, priority, delay, age, awaited, clear in specs:
            entries.append(
                entry(
                    id=id_,
                    gen=gen,
                    queue=queue,
                    priority=priority,
                    delay=delay,
                    flagged=age is None,
                    stamp=None if age is None else self.clock - age,
                    awaited=awaited,
                    clear=clear,
                )
            )
        for one in entries:
            self.same("put", [one])

    @rule(worker=workers, queue=queues, n=st.integers(0, 6), acked=subset)
    def take(self, worker: UUID, queue: str, n: int, acked: set[int]) -> None:
        self.calls[worker] += 1
        acks = self.close_some(worker, acked)
        real, model = self.both("take", worker, queue, self.calls[worker], n, acks=acks)
        assert by_level(real.deliveries) == by_level(model.deliveries)
        self.hands[worker] += real.deliveries

    @rule(worker=workers, queue=queues, lower=st.integers(0, 1))
    def take_again(self, worker: UUID, queue: str, lower: int) -> None:
        call = max(1, self.calls[worker] - lower)
        self.calls[worker] = max(self.calls[worker], call)
        real, model = self.both("take", worker, queue, call, 3)
        assert by_id(real.deliveries) == by_id(model.deliveries)
        known = {(*one.token, one.call) for one in self.hands[worker]}
        self.hands[worker] += [
            one for one in real.deliveries if (*one.token, one.call) not in known
        ]

    @rule(worker=workers, which=subset)
    def ack(self, worker: UUID, which: set[int]) -> None:
        self.same("ack", worker, self.close_some(worker, which))

    @rule(worker=workers, which=subset)
    def ack_as_if_lost(self, worker: UUID, which: set[int]) -> None:
        self.same("ack", worker, self.some(worker, which))

    @rule(worker=workers, other=workers, which=subset)
    def release(self, worker: UUID, other: UUID, which: set[int]) -> None:
        self.same("release", worker, self.some(other, which))

    @rule(worker=workers, which=subset)
    def extend(self, worker: UUID, which: set[int]) -> None:
        self.same("extend", worker, self.some(worker, which))

    @rule(worker=workers, which=subset, back=st.integers(0, 2))
    def beat(self, worker: UUID, which: set[int], back: int) -> None:
        hand = self.some(worker, which)
        answered = max(0, self.calls[worker] - back)
        lost = self.same("beat", worker, hand, answered).lost
        self.hands[worker] = [one for one in self.hands[worker] if one.token not in lost]

    @rule(worker=workers)
    def leave(self, worker: UUID) -> None:
        self.same("leave", worker)

    @rule()
    def expired(self) -> None:
        real, model = self.both("expired", 100)
        assert set(real) == set(model)

    @rule(
        ids=st.sets(st.sampled_from(IDS), max_size=3), gen=st.integers(1, 3), awaited=st.booleans()
    )
    def drop(self, ids: set[UUID], gen: int, awaited: bool) -> None:
        self.same("drop", [Ended(id_, gen, awaited) for id_ in sorted(ids)])

    @rule(queue=queues, paused=st.booleans())
    def pause(self, queue: str, paused: bool) -> None:
        self.same("pause" if paused else "resume", queue)

    @rule()
    def paused(self) -> None:
        self.same("paused")

    @rule(ids=st.sets(st.sampled_from(IDS), max_size=3))
    def flag(self, ids: set[UUID]) -> None:
        self.compare_holders("flag", ids)

    @rule(ids=st.sets(st.sampled_from(IDS)))
    def leased(self, ids: set[UUID]) -> None:
        self.compare_holders("leased", ids)

    def compare_holders(self, verb: str, ids: set[UUID]) -> None:
        """Both tell all that is somebody's own; when the stale are forgotten is a lane's affair."""
        real, model = self.both(verb, sorted(ids))
        own = {
            token for worker in WORKERS for token in self.same("extend", worker, self.hands[worker])
        }
        asked = {token for token in own if token[0] in ids}
        assert asked <= real
        assert asked <= model
        assert own <= set(self.same_part("held", own))

    def same_part(self, verb: str, part: set[Token]) -> dict[Token, str]:
        real, model = self.both(verb, 100)
        assert {token: real[token] for token in part} == {token: model[token] for token in part}
        return dict(real)

    @rule(seconds=st.sampled_from(STEPS))
    def pass_time(self, seconds: float) -> None:
        self.run(self.client.hincrby(self.meta, "offset", round(seconds * 1000)))
        self.clock += round(seconds * 1000)  # not each verb tells how late it is

    @rule(grace=st.sampled_from([0.0, 20.0]), paused=st.sets(queues))
    def next_epoch(self, grace: float, paused: set[str]) -> None:
        self.epoch += 1
        self.run(self.redis.open_epoch(self.epoch, grace=grace, paused=sorted(paused)))
        self.tick()
        self.run(self.memory.open_epoch(self.epoch, grace=grace, paused=sorted(paused)))

    @rule(worker=workers)
    def reassert(self, worker: UUID) -> None:
        own = self.same("reassert", worker, self.hands[worker])
        self.hands[worker] = [one for one in self.hands[worker] if one.token in own]

    def teardown(self) -> None:
        for worker in WORKERS:
            self.beat(worker, set(range(100)), 0)
        for queue in QUEUES:
            self.pause(queue, paused=False)
            self.take(WORKERS[0], queue, 100, set())
        assert self.run(self.redis.sound(self.epoch))
        self.run(self.redis.close())
        self.run(self.client.aclose())
        self.loop.close()


def by_level(deliveries: list[Delivery]) -> list[Delivery]:
    return sorted(deliveries, key=lambda one: one.priority)


def by_id(deliveries: list[Delivery]) -> list[Delivery]:
    return sorted(deliveries, key=lambda one: one.id)


def test_both_lanes_reply_the_same(redis_url: str) -> None:
    machine = type("SameReplies", (Lanes,), {"url": redis_url})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            phases=[Phase.generate],  # to shrink by steps that wait for servers takes minutes
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
