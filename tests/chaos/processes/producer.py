"""A producer process of a chaos run: enqueues in every way until SIGTERM, then ends with 0.

It holds back while many of its jobs wait, so that faults strike busy workers all along.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator
from itertools import count
from random import Random

import asyncpg

from chaos.events import EnqueueReturned, EnqueueUndone
from chaos.history import History, now_ns
from chaos.processes.patience import until_the_ledger_is_there
from chaos.processes.stage import set_stage
from chaos.processes.tasks import build
from headrace import Headrace, JobHandle, OutcomeUnknown, Task, Unique
from headrace.ledger.faults import translated
from headrace.model.unique import OnConflict, Until
from headrace.supervisor.signals import draining
from headrace.task import JobSpec

LIVE_AT_MOST = "HEADRACE_CHAOS_LIVE"
WAYS = "HEADRACE_CHAOS_WAYS"
PACE = "HEADRACE_CHAOS_PACE"
PAUSE = 0.05
KEYS = 40
LINES = 8
LEAVES = ("quick", "slow", "effect", "snoozing", "failing", "doomed", "unwanted")
ORDERED = ("slow", "threaded", "effect", "snoozing", "doomed")
KINDS = {
    "quick": 60,
    "slow": 8,
    "threaded": 4,
    "blocking": 1,
    "effect": 12,
    "effect_then_failure": 4,
    "failing": 4,
    "doomed": 2,
    "once": 3,
    "snoozing": 4,
    "unwanted": 2,
}
RULES: tuple[tuple[Until, OnConflict], ...] = (
    ("done", "return"),
    ("started", "return"),
    ("started", "replace"),
    ("queued", "replace"),
)
LIVE = "SELECT count(*) FROM headrace.job WHERE state < 2"


class Producer:
    """Sends requests; each has a name of its own that its job carries."""

    def __init__(
        self, app: Headrace, history: History, tx: asyncpg.Connection, orders: Iterator[str]
    ) -> None:
        self._app = app
        self._history = history
        self._tx = tx
        self._random = Random()
        self._live_at_most = int(os.environ[LIVE_AT_MOST])
        self._pace = float(os.environ[PACE])
        self._orders = orders
        ways: dict[str, Callable[[], Awaitable[None]]] = {
            "one by one": self._one_by_one,
            "concurrently": self._concurrently,
            "many": self._many,
            "transaction": self._transaction,
            "keyed": self._keyed,
            "unique": self._unique,
            "ordered": self._ordered,
            "flows": self._flows,
            "limited": self._limited,
        }
        self._ways = [ways[name] for name in os.environ[WAYS].split(",")]

    async def send_some(self) -> None:
        """Enqueue some jobs in one of the ways; what the ledger's absence stops is not told."""
        await asyncio.sleep(self._pace)
        try:
            if await self._tx.fetchval(LIVE) > self._live_at_most:
                await asyncio.sleep(PAUSE)  # the backlog is made smaller by others
                return
            await self._random.choice(self._ways)()
        except OutcomeUnknown:
            pass  # the job may be there or not: nothing was promised

    async def _one_by_one(self) -> None:
        for _ in range(5):
            self._durable([await self._enqueue()])

    async def _concurrently(self) -> None:
        async def one() -> None:
            self._durable([await self._enqueue()])

        await asyncio.gather(*(one() for _ in range(20)))

    async def _many(self) -> None:
        jobs = [self._task().job(next(self._orders), self._seconds()) for _ in range(30)]
        self._durable(await self._app.enqueue_many(jobs))

    async def _transaction(self) -> None:
        for wanted in (True, False):
            transaction = self._tx.transaction()
            await transaction.start()
            jobs = [await self._enqueue(tx=self._tx) for _ in range(3)]
            if wanted:
                await transaction.commit()
                self._durable(jobs)
            else:
                await transaction.rollback()
                for job in jobs:
                    self._history.append(EnqueueUndone(job=str(job.id)))

    async def _keyed(self) -> None:
        key = f"key-{self._random.randrange(KEYS)}"
        bound = self._app.tasks["quick"].options(idempotency_key=key)
        self._durable([await bound.enqueue(key)])

    async def _unique(self) -> None:
        until, on_conflict = self._random.choice(RULES)
        key = f"{until} {on_conflict} {self._random.randrange(3)}"
        unique = Unique(key=key, until=until, on_conflict=on_conflict)
        bound = self._app.tasks["slow"].options(unique=unique)
        self._durable([await bound.enqueue(next(self._orders), self._seconds())])

    async def _ordered(self) -> None:
        """Some of one key at once, with others between, in a transaction of its own or not."""
        specs = []
        for _ in range(6):
            task = self._app.tasks[self._random.choice(ORDERED)]
            key = str(self._random.randrange(LINES))
            bound = task.options(order_key=key, on_dead="skip")
            specs.append(bound.job(next(self._orders), self._random.choice((0.0, 0.01, 0.05))))
        if self._random.random() < 0.5:
            self._durable(await self._app.enqueue_many(specs))
            return
        async with self._tx.transaction():
            jobs = await self._app.enqueue_many(specs, tx=self._tx)
        self._durable(jobs)

    async def _flows(self) -> None:
        """One before many before one, which an end of each kind comes after."""
        flow = self._app.flow()
        first = flow.add(self._job("splitting"))
        leaves = [
            flow.add(
                self._job(self._random.choice(LEAVES)),
                after=first,
                on_failure=self._random.choice(("fail", "ignore")),
            )
            for _ in range(4)
        ]
        join = flow.add(self._job("effect"), after=leaves, on_failure="ignore")
        flow.chain(self._job("quick"), self._job("quick"), after=[first, join])
        flow.on_success(self._job("effect"))
        flow.on_complete(self._job("effect"))
        if self._random.random() < 0.5:
            handle = await flow.enqueue()
        else:
            async with self._tx.transaction():
                handle = await flow.enqueue(tx=self._tx)
        self._durable(handle.jobs.values())

    async def _limited(self) -> None:
        task = self._app.tasks["limited"]
        jobs = [task.job(next(self._orders), self._seconds()) for _ in range(5)]
        self._durable(await self._app.enqueue_many(jobs))

    def _job(self, kind: str) -> JobSpec[object]:
        return self._app.tasks[kind].job(next(self._orders), self._random.choice((0.0, 0.01, 0.05)))

    async def _enqueue(self, **options: object) -> JobHandle[object]:
        task = self._task()
        return await task.enqueue(next(self._orders), self._seconds(), **options)

    def _task(self) -> Task[..., object]:
        (kind,) = self._random.choices(list(KINDS), list(KINDS.values()))
        return self._app.tasks[kind]

    def _seconds(self) -> float:
        return self._random.choice((0.0, 0.02, 0.1, 0.4))

    def _durable(self, jobs: Iterable[JobHandle[object]]) -> None:
        for job in jobs:
            self._history.append(EnqueueReturned(job=str(job.id)))


async def main() -> None:
    stage = set_stage()
    app = build(stage.middle)
    asked = asyncio.Event()
    began = now_ns()  # not the process id: long runs use one twice
    orders = (f"{began}-{number}" for number in count())

    async def produce() -> None:
        with translated():
            connection = await asyncpg.connect(os.environ["HEADRACE_DATABASE_URL"])
            async with app:
                producer = Producer(app, stage.history, connection, orders)
                with draining(asked.set):
                    while not asked.is_set():
                        await producer.send_some()

    await until_the_ledger_is_there(produce)
