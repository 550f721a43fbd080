"""Any order of steps leaves the engine as the reference model says, and the ledger whole."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID, uuid4

import asyncpg
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from headrace.engines.ledgered import LedgeredEngine
from headrace.ledger.inspector import LedgerInspector
from headrace.ledger.postgres import PostgresLedger
from headrace.ledger.queries import Queries
from headrace.ledger.verify import verify
from headrace.model.inspection import Answer
from headrace.model.job import Delivery, Ending, NewJob
from headrace.model.outcome import Cancel, Dead, Retry, Snooze
from headrace.model.state import State
from headrace.model.unique import Unique
from headrace.model.verdict import completed, describe, failed, steered
from headrace.ports.lane import LEASE
from integration.engine_model import Model, Row
from integration.ledgers import wipe

QUEUES = ["a", "b"]
ACTOR = "tests:operator"
FITS = {
    "cancel": {State.AVAILABLE, State.RUNNING, State.SCHEDULED},
    "promote": {State.SCHEDULED, State.RETRYABLE},
    "replay": {State.DEAD},
}
ERROR = describe("ValueError", "boom")
NOW = timedelta()

queues = st.sampled_from(QUEUES)
seldom = st.sampled_from([False, False, False, True])
subset = st.sets(st.integers(0, 6))
most = st.sets(st.integers(0, 6), min_size=4)
pick = st.integers(0, 1000)
KEYS = [Unique(key=key, for_="24h") for key in "kl"]
specs = st.fixed_dictionaries(
    {
        "queue": queues,
        "priority": st.sampled_from([1, 5, 10]),
        "max_attempts": st.integers(1, 3),
        "rerun_on_crash": st.booleans(),
        "delay": st.sampled_from([None, None, None, timedelta(hours=1)]),
        "unique": st.sampled_from([None, None, None, *KEYS]),
    }
)
ends: list[Callable[[Delivery], Ending]] = [
    lambda one: Ending(one, completed(one, '{"ok": true}', 0.1)),
    lambda one: Ending(one, failed(one, ERROR, 0.1, NOW)),
    lambda one: Ending(one, failed(one, ERROR, 0.1, timedelta(hours=1))),
    *(
        lambda one, outcome=outcome: Ending(one, steered(one, outcome, 0.1, NOW))
        for outcome in (Retry("r", after="0s"), Snooze("1h"), Cancel("c"), Dead("d"))
    ),
]


class Site:
    """Two processes' engines on one database, an operator, and a look at the tables."""

    def __init__(self, url: str) -> None:
        self.loop = asyncio.new_event_loop()
        self.url = url
        self.engines = [LedgeredEngine(PostgresLedger(url, size=2)) for _ in range(2)]
        self.queries = Queries(url)
        self.inspector = LedgerInspector(self.queries)
        self.sql: asyncpg.Connection

    def run(self, call: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(call)

    async def open(self) -> None:
        for engine in self.engines:
            await engine.start()
            await engine.declare([], QUEUES)
        await self.queries.open()
        self.sql = await asyncpg.connect(self.url)
        await self.sql.execute("CREATE TABLE effect (job_id uuid)")

    async def close(self) -> None:
        await self.sql.close()
        await self.queries.close()
        for engine in self.engines:
            await engine.stop()


class Engines(RuleBasedStateMachine):
    site: ClassVar[Site]

    def __init__(self) -> None:
        super().__init__()
        self.run = self.site.run
        self.model = Model()
        self.workers: list[UUID] = []
        self.calls: dict[UUID, int] = {}
        self.hands: dict[UUID, list[Delivery]] = {}
        self.past: list[tuple[UUID, Delivery]] = []
        self.effects: list[UUID] = []

    @initialize()
    def begin(self) -> None:
        self.run(wipe(self.site.sql))
        self.run(self.site.sql.execute("TRUNCATE effect"))
        for _ in range(2):
            self.hire()
        engine = self.site.engines[0]
        for attempts in (1, 2, 3):
            spec = {"queue": QUEUES[0], "max_attempts": attempts}
            self.insert_jobs(engine, [new_job(engine, spec) for _ in range(2)])

    def hire(self) -> None:
        worker = uuid4()
        self.workers.append(worker)
        self.calls[worker] = 0
        self.hands[worker] = []
        self.run(self.engine(worker).register(worker, "here", 1, dict.fromkeys(QUEUES, 1), LEASE))

    def engine(self, worker: UUID) -> LedgeredEngine:
        return self.site.engines[self.workers.index(worker) % 2]

    def worker(self, at: int) -> UUID:
        """The latest come first, so that most steps are of the living."""
        return self.workers[-1 - at % min(len(self.workers), 3)]

    def holder(self, at: int) -> UUID:
        holders = [worker for worker, hand in self.hands.items() if hand]
        return holders[at % len(holders)]

    def some(self, worker: UUID, which: set[int]) -> list[Delivery]:
        return [one for at, one in enumerate(self.hands[worker]) if at in which]

    def row(self, at: int) -> Row:
        return list(self.model.rows.values())[at % len(self.model.rows)]

    def has_rows(self) -> bool:
        return bool(self.model.rows)

    def has_hands(self) -> bool:
        return any(self.hands.values())

    def has_past(self) -> bool:
        return bool(self.past)

    @rule(wanted=st.lists(specs, min_size=1, max_size=5), at=pick)
    def insert(self, wanted: list[dict[str, Any]], at: int) -> None:
        engine = self.engine(self.worker(at))
        self.insert_jobs(engine, [new_job(engine, spec) for spec in wanted])

    @precondition(has_rows)
    @rule(which=st.sets(pick, min_size=1, max_size=3), spec=specs, at=pick)
    def insert_again(self, which: set[int], spec: dict[str, Any], at: int) -> None:
        engine = self.engine(self.worker(at))
        known = {self.row(one).job.id: self.row(one).job for one in which}
        self.insert_jobs(engine, [*known.values(), new_job(engine, spec)])

    def insert_jobs(self, engine: LedgeredEngine, jobs: list[NewJob]) -> None:
        got = self.run(engine.insert(jobs))
        ordered = sorted(jobs, key=lambda job: job.unique is not None)
        said = {job.id: self.model.insert(job) for job in ordered}
        assert got == [said[job.id] for job in jobs]

    @rule(spec=specs, at=pick, kept=st.booleans())
    def insert_in_a_transaction(self, spec: dict[str, Any], at: int, kept: bool) -> None:
        engine = self.engine(self.worker(at))
        job = new_job(engine, spec)

        async def insert() -> Any:
            transaction = self.site.sql.transaction()
            await transaction.start()
            got = await engine.insert([job], self.site.sql)
            await (transaction.commit() if kept else transaction.rollback())
            return got

        got = self.run(insert())
        if kept:
            assert got == [self.model.insert(job)]

    @rule(at=pick, queue=queues, n=st.integers(1, 6), lost=seldom)
    def take(self, at: int, queue: str, n: int, lost: bool) -> None:
        worker = self.worker(at)
        self.calls[worker] += 1
        taken = self.run(self.engine(worker).take(worker, queue, self.calls[worker], n))
        self.model.take(worker, queue, self.calls[worker], n, taken.deliveries)
        if not lost:
            self.hands[worker] += taken.deliveries
            self.past += [(worker, one) for one in taken.deliveries]

    @precondition(has_hands)
    @rule(at=pick, which=most, how=st.lists(st.sampled_from(ends), min_size=7, max_size=7))
    def settle(self, at: int, which: set[int], how: list[Callable[[Delivery], Ending]]) -> None:
        worker = self.holder(at)
        held = self.some(worker, which)
        self.settle_as(worker, [end(one) for one, end in zip(held, how, strict=False)])
        self.hands[worker] = [one for one in self.hands[worker] if one not in held]

    @precondition(has_past)
    @rule(which=st.sets(pick, min_size=3, max_size=8), end=st.sampled_from(ends))
    def settle_late(self, which: set[int], end: Callable[[Delivery], Ending]) -> None:
        """Again, stale, or both; by the worker that had the first of these."""
        chosen = {self.past[one % len(self.past)] for one in sorted(which)}
        worker = min(had for had, _ in chosen)
        self.settle_as(worker, [end(one) for had, one in chosen if had == worker])

    def settle_as(self, worker: UUID, endings: list[Ending]) -> None:
        got = self.run(self.engine(worker).settle(worker, endings))
        assert got == self.model.settle(worker, [one.settlement for one in endings])

    @precondition(has_past)
    @rule(at=pick)
    def commit(self, at: int) -> None:
        worker, one = self.past[-1 - at % len(self.past)]
        settlement = completed(one, None, 0.1)

        async def commit() -> bool:
            async with self.engine(worker).transaction(None) as tx:
                async with tx.block():
                    await tx.handle.execute("INSERT INTO effect VALUES ($1)", one.id)
                return await tx.commit(worker, settlement)

        accepted = self.run(commit())
        assert accepted == self.model.commit(worker, settlement)
        if accepted:
            self.effects.append(one.id)

    @precondition(has_hands)
    @rule(at=pick, which=subset, by_another=seldom)
    def release(self, at: int, which: set[int], by_another: bool) -> None:
        holder = self.holder(at)
        worker = self.worker(at) if by_another else holder
        held = self.some(holder, which)
        self.run(self.engine(worker).release(worker, held))
        self.model.release(worker, held)

    @precondition(has_past)
    @rule(which=pick, by_another=seldom, at=pick)
    def forfeit(self, which: int, by_another: bool, at: int) -> None:
        had, one = self.past[which % len(self.past)]
        worker = self.worker(at) if by_another else had
        got = self.run(self.engine(worker).forfeit(worker, one))
        assert got == self.model.forfeit(worker, one)

    @precondition(has_past)
    @rule(which=st.sets(pick, min_size=3, max_size=8))
    def extend(self, which: set[int]) -> None:
        asked = {one.id: one for _, one in (self.past[at % len(self.past)] for at in which)}
        got = self.run(self.site.engines[0].extend(list(asked.values())))
        assert got == self.model.extend(asked.values())

    @rule(at=pick, unnamed=subset, in_flight=st.integers(0, 2))
    def beat(self, at: int, unnamed: set[int], in_flight: int) -> None:
        worker = self.worker(at)
        answered = max(0, self.calls[worker] - in_flight)
        hand = [one for place, one in enumerate(self.hands[worker]) if place not in unnamed]
        beat = self.run(self.engine(worker).beat(worker, hand, answered))
        lost = self.model.beat(worker, hand, answered)
        assert beat.alive == (lost is not None)
        assert beat.lost == (lost or set())
        self.hands[worker] = [one for one in self.hands[worker] if one.token not in beat.lost]

    @rule(at=pick, missed=seldom)
    def bury(self, at: int, missed: bool) -> None:
        worker = self.holder(at) if self.has_hands() else self.worker(at)
        ledger = self.engine(worker).ledger
        pulse = self.run(ledger.watch()).get(worker)
        assert (pulse is None) == (worker in self.model.reaped)
        if pulse is not None:
            assert self.run(ledger.judge(worker, pulse.beats + missed)) == (not missed)
            if not missed:
                self.model.reaped.add(worker)
                self.hire()
        self.reap()

    @rule()
    def reap(self) -> None:
        owned = sum(row.owner in self.model.reaped for row in self.model.rows.values())
        assert self.run(self.site.engines[0].ledger.reap(500)) == owned
        self.model.reap()

    @rule(at=pick, which=subset)
    def leave(self, at: int, which: set[int]) -> None:
        worker = self.worker(at)
        running = self.some(worker, which)
        self.run(self.engine(worker).leave(worker, running))
        self.model.leave(worker, running)
        self.hire()

    @rule(queue=queues, paused=st.booleans())
    def pause(self, queue: str, paused: bool) -> None:
        inspector = self.site.inspector
        changed = self.run(inspector.pause(queue) if paused else inspector.resume(queue))
        assert changed == (paused != (queue in self.model.paused))
        self.model.paused ^= {queue} if changed else set()

    @precondition(has_rows)
    @rule(verb=st.sampled_from(["cancel", "promote", "replay", "replay"]), at=pick)
    def operate(self, verb: str, at: int) -> None:
        fitting = [row for row in self.model.rows.values() if row.state in FITS[verb]]
        row = fitting[at % len(fitting)] if fitting else self.row(at)
        running = row.owner is not None
        answers = self.run(getattr(self.site.inspector, verb)([row.job.id], ACTOR))
        refused = Answer.RUNNING if running else Answer.UNFIT
        done = getattr(self.model, verb)(row)
        assert answers == {row.job.id: Answer.DONE if done else refused}

    @rule()
    def time_passes(self) -> None:
        later = "UPDATE headrace.job SET run_at = now() WHERE state = 0 AND run_at > now()"
        self.run(self.site.sql.execute(later))
        for row in self.model.rows.values():
            row.due = True

    @rule()
    def maintain(self) -> None:
        self.run(self.site.engines[0].ledger.maintain())

    @invariant()
    def as_the_model_says(self) -> None:
        rows = self.run(self.site.sql.fetch(LOOK))
        assert {row["id"]: tuple(row)[1:] for row in rows} == {
            job_id: facts(row) for job_id, row in self.model.rows.items()
        }

    def teardown(self) -> None:
        ids = list(self.model.rows)
        jobs = self.run(self.site.engines[0].get(ids))
        assert {job.id: job.state for job in jobs} == {
            job_id: row.state for job_id, row in self.model.rows.items()
        }
        over = {job.id for job in self.run(self.site.engines[1].outcomes(ids))}
        assert over == {job_id for job_id, row in self.model.rows.items() if row.state.final}
        events = self.run(self.site.sql.fetch("SELECT job_id, gen, kind FROM headrace.job_event"))
        assert sorted(map(tuple, events)) == sorted(
            (job_id, *end) for job_id, row in self.model.rows.items() for end in row.ends
        )
        written = self.run(self.site.sql.fetch("SELECT job_id FROM effect"))
        assert sorted(row["job_id"] for row in written) == sorted(self.effects)
        assert len(self.effects) == len(set(self.effects))
        verdicts = self.run(verify(self.site.queries, quiesced=True, repair=False))
        assert [one for one in verdicts if one.breaches] == []


LOOK = (
    "SELECT id, state, gen, failures, crashes, snoozes, owner, "
    "CASE WHEN owner IS NOT NULL THEN claim_no END, state > 0 OR run_at <= now(), settled_gen, "
    "settled_by FROM headrace.job"
)


def facts(row: Row) -> tuple[object, ...]:
    call = None if row.owner is None else row.call
    due = row.due or row.state.final
    counts = (row.failures, row.crashes, row.snoozes)
    last = max(row.settled, default=None)
    by = None if last is None else row.settled[last]
    return (row.stored, row.gen, *counts, row.owner, call, due, last, by)


def new_job(engine: LedgeredEngine, spec: dict[str, Any]) -> NewJob:
    return NewJob(id=engine.new_id(), task="t", payload=b"{}", **spec)


def test_an_engine_does_what_the_model_says(migrated_url: str) -> None:
    site = Site(migrated_url)
    site.run(site.open())
    try:
        run_state_machine_as_test(
            type("AsModelled", (Engines,), {"site": site}),
            settings=settings(
                max_examples=60,
                stateful_step_count=40,
                phases=[Phase.generate],  # to shrink by steps that wait for a server takes minutes
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        site.run(site.close())
        site.loop.close()
