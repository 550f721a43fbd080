"""What a chaos process does to the product from outside before it uses it.

It records a history of what the ledger and the fence are asked and answer, puts the crash and hold
points of this process around them, and puts on its broken twin.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from chaos.crashpoints import CrashPoint, armed, crash_points_of_this_process
from chaos.events import (
    Admitted,
    CrashPointReached,
    EnqueueCalled,
    Event,
    LeaseLost,
    Outcome,
    RunEnded,
    Settled,
    SettleSent,
    StartChecked,
)
from chaos.history import History, events_of, now_ns
from chaos.holdpoints import held
from chaos.lane_twins import LANE_TWINS
from chaos.ledger_twins import LEDGER_TWINS, no_services
from chaos.limit_twins import LIMIT_TWINS
from chaos.processes.lane_stage import RecordedLaneLedger, lanes_with
from chaos.processes.tasks import Middle
from chaos.twins import apply_twin_of_this_process, swap_method
from headrace import connect
from headrace.lanes.redis import lane as redis_lane
from headrace.ledger.limiter import LedgerLimiter
from headrace.ledger.postgres import PostgresLedger
from headrace.ledger.transaction import LedgerTransaction
from headrace.model.job import Delivery, Inserted, NewJob, Settlement, Token
from headrace.model.rate import Admission, Ask
from headrace.model.state import Stored
from headrace.supervisor import node
from headrace.worker import conclude as conclude_module
from headrace.worker import identity as identity_module
from headrace.worker import runner as runner_module
from headrace.worker.attempt import Attempt
from headrace.worker.bystander import Bystander
from headrace.worker.conclude import Conclusion
from headrace.worker.context import AttemptContext
from headrace.worker.hand import Hand
from headrace.worker.settler import Settler
from headrace.worker.worker import Worker
from steady_pace import SteadyPace

FOLDER = "HEADRACE_CHAOS_FOLDER"
PREFETCH = "HEADRACE_CHAOS_PREFETCH"
ALONE = "HEADRACE_CHAOS_ALONE"
UNHAPPY = """
    SELECT job_id, gen FROM headrace.job_event
    WHERE actor = 'worker:' || $1::uuid AND job_id = ANY ($2::uuid[])
"""
T = TypeVar("T")
TOLD = {
    Stored.COMPLETED: Outcome.COMPLETE,
    Stored.DEAD: Outcome.DEAD,
    Stored.CANCELLED: Outcome.CANCEL,
}


@dataclass(frozen=True)
class Stage:
    """The history of this process and the points around its objects."""

    history: History
    points: Sequence[CrashPoint]

    def around(self, name: str, target: T) -> T:
        """Return the target with its points around it."""
        return armed(name, held(name, target, self.history), self.points, self.history)

    @property
    def middle(self) -> Middle:
        """The point in the middle of handlers."""
        return self.around("handler", Middle())


def set_stage() -> Stage:
    """Open this process's history and change the product as the environment says.

    A crash point that was reached already is not armed again: its process was started anew.
    """
    folder = Path(os.environ[FOLDER])
    reached = {event.name for event in events_of(CrashPointReached, folder)}
    points = [point for point in crash_points_of_this_process() if point.name not in reached]
    stage = Stage(History(folder), points)
    apply_twin_of_this_process({**LEDGER_TWINS, **LANE_TWINS, **LIMIT_TWINS})
    witness = Witness(stage.history)
    _record_ledger(stage, witness)
    _record_transactions(stage, witness)
    _record_hands(stage)
    _record_admissions(stage.history)
    _record_runs(stage.history)
    if prefetch := os.environ.get(PREFETCH):
        _put(node, "Worker", partial(Worker, pace=lambda: SteadyPace(int(prefetch))))
    if os.environ.get(ALONE):
        _put(node, "services", no_services)
    return stage


def told(settlement: Settlement) -> Outcome:
    """Name what a settlement says."""
    if settlement.state is Stored.LIVE:
        return Outcome.SNOOZE if settlement.snoozed else Outcome.RETRY
    return TOLD[settlement.state]


class Witness:
    """Writes down what the ledger is asked and answers."""

    def __init__(self, history: History) -> None:
        self.history = history
        self._found: dict[Token, Outcome] = {}

    def asked(self, worker: UUID, settlements: Iterable[Settlement]) -> None:
        """Outcomes are about to be sent."""
        for one in settlements:
            self._note(SettleSent, worker, one, outcome=told(one))

    def found(self, settlements: Iterable[Settlement], unhappy: set[Token]) -> None:
        """These attempts had been settled, and the reply was lost.

        A completion in the handler's transaction may be followed by a retry, if its own reply is
        lost. Which of the two is in is for the ledger to say: it remembers all that was not happy.
        """
        for one in settlements:
            token = (one.id, one.gen)
            self._found[token] = told(one) if token in unhappy else Outcome.COMPLETE

    def answered(self, worker: UUID, settlement: Settlement, *, accepted: bool) -> None:
        """The ledger accepted an outcome or refused it."""
        outcome = self._found.get((settlement.id, settlement.gen), told(settlement))
        self._note(Settled, worker, settlement, outcome=outcome, accepted=accepted)

    def _note(
        self, kind: Callable[..., Event], worker: UUID, settlement: Settlement, **more: object
    ) -> None:
        job, gen = str(settlement.id), settlement.gen
        self.history.append(kind(job=job, gen=gen, worker=str(worker), **more))


class RecordedLedger(PostgresLedger):
    """The ledger, whose inserts, settles and judgements leave lines in the history."""

    witness: Witness

    async def insert(
        self, jobs: Sequence[NewJob], *, pushed: bool = False, durable: bool = True
    ) -> list[Inserted]:
        for job in jobs:
            self.witness.history.append(EnqueueCalled(job=str(job.id)))
        return await super().insert(jobs, pushed=pushed, durable=durable)

    async def settle(
        self, worker: UUID, settlements: Sequence[Settlement], *, durable: bool = True
    ) -> set[Token]:
        self.witness.asked(worker, settlements)
        accepted = await super().settle(worker, settlements, durable=durable)
        for one in settlements:
            self.witness.answered(worker, one, accepted=(one.id, one.gen) in accepted)
        return accepted

    async def _settled_before(self, worker: UUID, batch: Sequence[Settlement]) -> set[Token]:
        known = await super()._settled_before(worker, batch)
        async with self._queries.connection() as connection:
            rows = await connection.fetch(UNHAPPY, worker, [job_id for job_id, _ in known])
        unhappy = {(row["job_id"], row["gen"]) for row in rows}
        self.witness.found((one for one in batch if (one.id, one.gen) in known), unhappy)
        return known

    async def judge(self, worker: UUID, beats: int) -> bool:
        judged = await super().judge(worker, beats)
        if judged:
            self.witness.history.append(LeaseLost(cause="judged", worker=str(worker)))
        return judged


class RecordedHand(Hand):
    """The hand, whose fence check leaves a line in the history."""

    history: History

    def start(self, delivery: Delivery) -> bool:
        asked_at = now_ns()
        allowed = super().start(delivery)
        if allowed:
            self.history.append(
                StartChecked(
                    job=str(delivery.id),
                    gen=delivery.gen,
                    worker=str(self.worker),
                    attempt=delivery.attempt,
                    asked_at=asked_at,
                )
            )
        return allowed


def _record_ledger(stage: Stage, witness: Witness) -> None:
    def ledger(url: str, *, size: int, listens: bool, prepared: bool) -> PostgresLedger:
        recorded = RecordedLedger(url, size=size, listens=listens, prepared=prepared)
        recorded.witness = witness
        lanes = RecordedLaneLedger(recorded._queries, stage.history)
        _put(recorded, "_lanes", stage.around("lanes", lanes))
        return stage.around("ledger", recorded)

    _put(connect, "PostgresLedger", ledger)
    _put(redis_lane, "RedisLane", lanes_with(stage.around))


def _record_transactions(stage: Stage, witness: Witness) -> None:
    commit = LedgerTransaction.commit

    async def recorded(self: LedgerTransaction, worker: UUID, settlement: Settlement) -> bool:
        witness.asked(worker, [settlement])
        _put(self, "_transaction", stage.around("transaction", self._transaction))
        accepted = await commit(self, worker, settlement)
        witness.answered(worker, settlement, accepted=accepted)
        return accepted

    swap_method(LedgerTransaction, "commit", recorded)


def _record_hands(stage: Stage) -> None:
    def hand(worker: UUID, registered: float, *, lease: float) -> Hand:
        recorded = RecordedHand(worker, registered, lease=lease)
        recorded.history = stage.history
        return stage.around("hand", recorded)

    _put(identity_module, "Hand", hand)


def _record_admissions(history: History) -> None:
    admit = LedgerLimiter.admit

    async def recorded(self: LedgerLimiter, asks: Sequence[Ask]) -> list[Admission]:
        asked_at = now_ns()
        answers = await admit(self, asks)
        for ask, answer in zip(asks, answers, strict=True):
            if not answer.put_off:
                job, gen = str(ask.delivery.id), ask.delivery.gen
                history.append(Admitted(job=job, gen=gen, asked_at=asked_at, wait=answer.wait))
        return answers

    swap_method(LedgerLimiter, "admit", recorded)


def _record_runs(history: History) -> None:
    conclude, add = conclude_module.conclude, Settler.add

    def ended(worker: UUID, token: Token) -> None:
        history.append(RunEnded(job=str(token[0]), gen=token[1], worker=str(worker)))

    async def concluded(
        worker: UUID,
        attempt: Attempt,
        context: AttemptContext,
        settlement: Settlement,
        bystander: Bystander,
    ) -> Settlement | Conclusion:
        ended(worker, attempt.delivery.token)
        return await conclude(worker, attempt, context, settlement, bystander)

    def added(self: Settler, worker: UUID, delivery: Delivery, settlement: Settlement) -> None:
        ended(worker, delivery.token)
        add(self, worker, delivery, settlement)

    _put(runner_module, "conclude", concluded)
    swap_method(Settler, "add", added)


def _put(owner: object, name: str, replacement: object) -> None:
    if not hasattr(owner, name):
        raise AttributeError(f"{owner} has no {name} to replace; the stage must follow the product")
    setattr(owner, name, replacement)
