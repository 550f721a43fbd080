"""Direct mode: one job's delivery straight from PostgreSQL, every statement and reply a step."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from model import properties
from model.direct_state import (
    HELD,
    RUNNING,
    Budget,
    Delivery,
    Rules,
    State,
    Statement,
    Worker,
    tidied,
)
from model.explorer import Step
from model.ledger import COMPLETE, DEAD, LIVE, NOBODY, RETRY, SNOOZE, Ledger, Row

SLOTS = 2


@dataclass(frozen=True, slots=True)
class Direct:
    """The model: its size, the faults it suffers and the rules it keeps."""

    budget: Budget = field(default_factory=Budget)
    rules: Rules = field(default_factory=Rules)
    workers: int = 2
    max_attempts: int = 2
    transaction: bool = False  # the handler writes its effects through ctx.transaction()
    blame: bool = False  # whether a crash may be counted only after a start
    wire: int = 1  # statements that may be on the wire at once
    ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ledger", Ledger(self.max_attempts, self.rules))

    def initial(self) -> State:
        """Return registered, idle workers and no job."""
        workers = tuple(Worker(number + 1) for number in range(self.workers))
        return State(Row(), workers, self.budget, registered=self.workers)

    def finished(self, state: State) -> bool:
        """Return whether the job has ended."""
        return state.row.state in (COMPLETE, DEAD)

    def broken(self, before: State, step: Step[State]) -> Iterator[str]:
        """Return the properties that the step breaks."""
        yield from properties.of_the_row(step.state.row, self.max_attempts)
        if self.transaction:
            yield from properties.of_effects(step.state.row)
        if self.blame:
            yield from properties.of_blame(step.state.row)
        if step.action == "start":
            yield from self._broken_by_start(before, step.state)
        if step.note == "refused, though accepted":
            yield properties.TOLD

    def _broken_by_start(self, before: State, after: State) -> Iterator[str]:
        running = [d.gen for w in after.workers for d in w.hands if d.phase == RUNNING]
        expired = after.budget.expiries < self.budget.expiries
        yield from properties.of_start(before.row, running, zombie=expired)

    def steps(self, state: State) -> Iterator[Step[State]]:
        """Return what producer, reaper, late statements and workers can do."""
        for step in self._steps(state):
            yield step._replace(state=tidied(step.state, blame=self.blame))

    def _steps(self, state: State) -> Iterator[Step[State]]:
        yield from self._producer(state)
        yield from self._late(state)
        if self.rules.reaper_runs:
            yield from self._reaper(state)
        for number in range(len(state.workers)):
            yield from _Process(self, state, number).steps()

    def _producer(self, state: State) -> Iterator[Step[State]]:
        if not state.inserted:
            row = self.ledger.insert(state.row)
            yield Step("insert", "producer", state._replace(row=row, inserted=True))
            if state.budget.losses:
                unheard = state._replace(row=row).spend("losses")
                yield Step("insert", "producer", unheard, "reply lost", fault=True)

    def lose(self, state: State, statement: Statement, actor: str) -> Iterator[Step[State]]:
        """Leave a statement on the wire: its sender will not learn whether it committed."""
        if state.budget.losses and len(state.wire) < self.wire:
            after = state.spend("losses")._replace(wire=(*state.wire, statement))
            yield Step(statement.action, actor, after, "connection lost", fault=True)

    def _late(self, state: State) -> Iterator[Step[State]]:
        for index, statement in enumerate(state.wire):
            wire = state.wire[:index] + state.wire[index + 1 :]
            after = self._commit(state._replace(wire=wire), statement)
            yield Step(statement.action, "late", after, f"of w{statement.worker}")

    def _commit(self, state: State, s: Statement) -> State:
        row, ledger = state.row, self.ledger
        if s.action == "claim":
            after = ledger.claim(row, s.worker, s.call) if row.claimable else row
            return state._replace(row=after)
        if s.action == "release":
            return state._replace(row=ledger.release(row, s.worker, s.gen))
        if s.action == "beat":
            beaten = ledger.beat(row, s.worker, s.call, named=False)
            return state if s.worker in state.reaped else state._replace(row=beaten)
        after = self.settle(row, s.worker, s.gen, s.outcome)
        accepted = ledger.accepts(row, s.worker, s.gen)
        workers = _told_later(state.workers, s) if accepted else state.workers
        return state._replace(row=after, workers=workers)

    def settle(self, row: Row, worker: int, gen: int, outcome: str) -> Row:
        """Settle; a transactional handler's effects commit with it or not at all."""
        after = self.ledger.settle(row, worker, gen, outcome)
        joined = self.transaction and self.rules.effects_join_the_settle
        if joined and after.completions > row.completions:
            return after._replace(effects=row.effects + 1)
        return after

    def _reaper(self, state: State) -> Iterator[Step[State]]:
        alive = {worker.id for worker in state.workers}
        for worker in range(1, state.registered + 1):
            if worker in state.reaped:
                yield from self._reap(state, worker)
            elif worker not in alive:
                yield from self._judge(state, worker, fault=False)
            elif state.budget.expiries:
                yield from self._judge(state.spend("expiries"), worker, fault=True)

    def _judge(self, state: State, worker: int, *, fault: bool) -> Iterator[Step[State]]:
        if not self.rules.silence_is_judged:
            row = self.ledger.release(state.row, worker, state.row.gen)
            yield Step("release", "reaper", state._replace(row=row), f"w{worker}", fault)
            return
        row, reaped = state.row, state.reaped | {worker}
        if not self.rules.reap_repeats:
            row = self.ledger.reap(row, worker)
        yield Step("judge", "reaper", state._replace(row=row, reaped=reaped), f"w{worker}", fault)

    def _reap(self, state: State, worker: int) -> Iterator[Step[State]]:
        row = self.ledger.reap(state.row, worker)
        if row != state.row and self.rules.reap_repeats:
            yield Step("reap", "reaper", state._replace(row=row), f"w{worker}")


def _told_later(workers: tuple[Worker, ...], settle: Statement) -> tuple[Worker, ...]:
    """Note in the hands of the sender, if it still lives, that its settle was accepted."""

    def noted(delivery: Delivery) -> Delivery:
        same = (delivery.worker, delivery.gen) == (settle.worker, settle.gen)
        return delivery._replace(accepted=True) if same else delivery

    return tuple(w._replace(hands=tuple(noted(d) for d in w.hands)) for w in workers)


@dataclass(frozen=True, slots=True)
class _Process:
    """One worker process in one state, and what it can do there."""

    model: Direct
    state: State
    number: int

    @property
    def me(self) -> Worker:
        return self.state.workers[self.number]

    def steps(self) -> Iterator[Step[State]]:
        if self.me.id == NOBODY:
            fresh = self.me._replace(id=self.state.registered + 1, calls=0)
            yield self._step("register", self._become(fresh)._replace(registered=fresh.id))
        else:
            yield from self._claim()
            yield from self._beat()
        if self.me.reply:
            yield self._step("receive", self._become(self._with_reply(self.me.reply)))
        for delivery in self.me.hands:
            yield from self._deliver(delivery)
        busy = self.me.hands or self.me.reply or self.state.row.owner == self.me.id != NOBODY
        if self.state.budget.crashes and busy:
            yield self._step("crash", self._become(Worker(NOBODY)).spend("crashes"), fault=True)

    def _step(
        self, action: str, state: State, note: str = "", *, fault: bool = False
    ) -> Step[State]:
        return Step(action, f"p{self.number}", state, note, fault)

    def _become(self, worker: Worker, row: Row | None = None) -> State:
        workers = self.state.workers
        workers = (*workers[: self.number], worker, *workers[self.number + 1 :])
        return self.state._replace(workers=workers, row=row or self.state.row)

    def _lose(self, worker: Worker, statement: Statement) -> Iterator[Step[State]]:
        return self.model.lose(self._become(worker), statement, f"p{self.number}")

    def _claim(self) -> Iterator[Step[State]]:
        me, row = self.me, self.state.row
        if me.reply or len(me.hands) == SLOTS or row.state != LIVE:
            return
        called = me._replace(calls=me.calls + 1)
        if row.claimable:
            claimed = self.model.ledger.claim(row, me.id, called.calls)
            given = called._replace(reply=Delivery(me.id, claimed.gen))
            yield self._step("claim", self._become(given, claimed), f"w{me.id} gen {claimed.gen}")
        yield from self._lose(called, Statement("claim", me.id, call=called.calls))

    def _with_reply(self, reply: Delivery) -> Worker:
        me = self.me._replace(reply=None)
        kept = reply.worker == me.id or not self.model.rules.refusal_voids
        return me._replace(hands=(*me.hands, reply)) if kept else me

    def _beat(self) -> Iterator[Step[State]]:
        me, rules = self.me, self.model.rules
        if me.id in self.state.reaped:
            kept = [d for d in me.hands if d.phase != HELD or not rules.refusal_voids]
            refused = me._replace(id=NOBODY, hands=tuple(kept))
            yield self._step("beat", self._become(refused), "refused")
        if not rules.beat_releases:
            return
        received = me.calls - bool(me.reply and rules.beat_spares_unreceived)
        nameless = () if rules.beat_names_unsettled else (COMPLETE, RETRY, SNOOZE)
        named = any(d.worker == me.id and d.phase not in nameless for d in me.hands)
        row = self.model.ledger.beat(self.state.row, me.id, received, named=named)
        if me.id not in self.state.reaped and row != self.state.row:
            yield self._step("beat", self._become(me, row), "releases")
        if not named and self.state.row.state == LIVE:
            yield from self._lose(me, Statement("beat", me.id, call=received))

    def _deliver(self, delivery: Delivery) -> Iterator[Step[State]]:
        if delivery.phase == HELD:
            yield from self._start(delivery)
            yield from self._release(delivery)
        elif delivery.phase == RUNNING:
            yield from self._finish(delivery)
            if not self.model.rules.release_spares_started:
                yield from self._release(delivery)
        else:
            yield from self._settle(delivery)

    def _start(self, delivery: Delivery) -> Iterator[Step[State]]:
        rules = self.model.rules
        fence = delivery.worker if rules.fence_is_the_deliverys else self.me.id
        if (fence != NOBODY and fence not in self.state.reaped) or not rules.start_tests_fence:
            started = self.me.with_hand(delivery, delivery._replace(phase=RUNNING))
            row = self.state.row
            mine = row.gen == delivery.gen or row.started
            row = row._replace(starts=row.starts + 1, started=mine)
            yield self._step("start", self._become(started, row), f"gen {delivery.gen}")

    def _release(self, delivery: Delivery) -> Iterator[Step[State]]:
        if not self.state.budget.drains:
            return
        drop = self.model.rules.release_drops_first and delivery.phase == HELD
        me = self.me.with_hand(delivery, None) if drop else self.me
        row = self.model.ledger.release(self.state.row, delivery.worker, delivery.gen)
        yield self._step("release", self._become(me, row).spend("drains"), f"gen {delivery.gen}")
        lost = Statement("release", delivery.worker, delivery.gen)
        yield from self._lose(me, lost)

    def _finish(self, delivery: Delivery) -> Iterator[Step[State]]:
        for outcome in (COMPLETE, RETRY, SNOOZE):
            if outcome == SNOOZE and not self.state.budget.snoozes:
                continue
            row = self.state.row
            if outcome == COMPLETE and not self.model.rules.effects_join_the_settle:
                row = row._replace(effects=row.effects + 1)
            finished = self.me.with_hand(delivery, delivery._replace(phase=outcome))
            after = self._become(finished, row)
            yield self._step(
                "finish", after.spend("snoozes") if outcome == SNOOZE else after, outcome
            )

    def _settle(self, delivery: Delivery) -> Iterator[Step[State]]:
        worker, gen, outcome, accepted_before = delivery
        row, ledger = self.state.row, self.model.ledger
        joined = self.model.transaction and outcome == COMPLETE
        action = "settle_in_transaction" if joined else "settle"
        after = self.model.settle(row, worker, gen, outcome)
        known = ledger.accepts(row, worker, gen) or ledger.recognises(row, worker, gen)
        overwritten = row.settled_gen > gen
        wronged = accepted_before and not known and not overwritten
        note = "refused, though accepted" if wronged else f"gen {gen} {outcome}"
        yield self._step(action, self._become(self.me.with_hand(delivery, None), after), note)
        again = delivery._replace(phase=RETRY) if joined else delivery
        statement = Statement(action, worker, gen, outcome=outcome)
        yield from self._lose(self.me.with_hand(delivery, again), statement)
