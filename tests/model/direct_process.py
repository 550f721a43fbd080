"""What a worker process can do in direct mode."""

from collections.abc import Iterable, Iterator

from model.direct_state import (
    AHEAD,
    HELD,
    RUNNING,
    UNSTARTED,
    Delivery,
    Setting,
    State,
    Statement,
    Worker,
)
from model.explorer import Step
from model.ledger import COMPLETE, LIVE, NOBODY, RETRY, SNOOZE, Row
from model.properties import REFUSED, REFUSED_THOUGH_ACCEPTED
from model.values import Value

SLOTS = 2


class Process(Value, frozen=True):
    """One worker process in one state."""

    setting: Setting
    state: State
    number: int

    @property
    def me(self) -> Worker:
        """The process as it stands."""
        return self.state.workers[self.number]

    def steps(self) -> Iterator[Step[State]]:
        """Return what the process can do."""
        if self.me.id == NOBODY:
            yield self._register()
        else:
            yield from self._claim()
            yield from self._beat()
            yield from self._leave()
        if self.me.reply:
            yield from self._receive(self.me.reply)
        for delivery in self.me.hands:
            yield from self._deliver(delivery)
        yield from self._crash()

    def _step(self, action: str, state: State, note: str = "", gen: int = 0) -> Step[State]:
        return Step(action, f"p{self.number}", state, note, False, self.me.id, gen)

    def _about(self, delivery: Delivery, action: str, state: State, note: str = "") -> Step[State]:
        return Step(action, f"p{self.number}", state, note, False, *delivery.token)

    def _become(self, worker: Worker, row: Row | None = None) -> State:
        workers = self.state.workers
        workers = (*workers[: self.number], worker, *workers[self.number + 1 :])
        return self.state._replace(workers=workers, row=row or self.state.row)

    def _lose(self, worker: Worker, statement: Statement) -> Iterator[Step[State]]:
        return self.setting.lose(self._become(worker), statement, f"p{self.number}")

    def _register(self) -> Step[State]:
        fresh = self.me._replace(id=self.state.registered + 1, calls=0)
        after = self._become(fresh)._replace(registered=fresh.id)
        return self._step("register", after)

    def _crash(self) -> Iterator[Step[State]]:
        owner = self.state.row.owner != NOBODY and self.state.row.owner == self.me.id
        if self.state.budget.crashes and (self.me.hands or self.me.reply or owner):
            crashed = self._become(Worker(NOBODY)).spend("crashes")
            yield Step("crash", f"p{self.number}", crashed, "", True, self.me.id)

    def _leave(self) -> Iterator[Step[State]]:
        if not self.state.budget.drains:
            return
        me, twin = self.me, self.setting.twin
        started = tuple(d for d in me.hands if d.phase not in UNSTARTED)
        running = () if twin.leaving_names_nothing else self._gens_of(started)
        gone = Worker(NOBODY, hands=me.hands if twin.leaving_keeps_the_rest else started)
        after = self._become(gone).spend("drains")
        yield self._step("leave", after.leave(me.id, running))

    def _gens_of(self, deliveries: Iterable[Delivery]) -> tuple[int, ...]:
        return tuple(d.gen for d in deliveries if d.worker == self.me.id)

    def _claim(self) -> Iterator[Step[State]]:
        me = self.me
        if me.reply or len(me.hands) == SLOTS or self.state.row.state != LIVE:
            return
        if me.id in self.state.reaped and not self.setting.twin.claim_past_the_fence:
            return  # its clock says so; what it sent before is on the wire
        yield from self._claim_as(HELD)
        if self.state.budget.aheads:
            for step in self._claim_as(AHEAD):
                yield step._replace(state=step.state.spend("aheads"))

    def _claim_as(self, phase: str) -> Iterator[Step[State]]:
        called, row = self.me._replace(calls=self.me.calls + 1), self.state.row
        if row.claimable:
            ledger, ahead = self.setting.ledger, phase == AHEAD
            claimed = ledger.claim(row, called.id, called.calls, ahead=ahead)
            given = called._replace(reply=Delivery(called.id, claimed.gen, phase))
            yield self._step("claim", self._become(given, claimed), gen=claimed.gen)
        late = Statement("claim", called.id, call=called.calls, outcome=phase)
        yield from self._lose(called, late)

    def _receive(self, reply: Delivery) -> Iterator[Step[State]]:
        me, (worker, gen) = self.me, reply.token
        if me.forgone and not self.setting.twin.forgone_reply_kept:
            back = me._replace(reply=None, forgone=False)
            row = self.setting.ledger.release(self.state.row, worker, gen)
            yield self._about(reply, "release", self._become(back, row), "forgone")
            yield from self._lose(back, Statement("release", worker, gen))
        else:
            yield self._about(reply, "receive", self._become(self._with_reply(reply)))
        if self.state.budget.overruns and not me.forgone:
            forgone = self._become(me._replace(forgone=True)).spend("overruns")
            yield self._about(reply, "forgo", forgone)

    def _with_reply(self, reply: Delivery) -> Worker:
        me = self.me._replace(reply=None, forgone=False)
        mine = reply.worker == me.id or self.setting.twin.refusal_voids_nothing
        return me._replace(hands=(*me.hands, reply)) if mine else me

    def _beat(self) -> Iterator[Step[State]]:
        me, row, twin = self.me, self.state.row, self.setting.twin
        if me.id in self.state.reaped:
            kept = [d for d in me.hands if d.phase not in UNSTARTED or twin.refusal_voids_nothing]
            refused = me._replace(id=NOBODY, hands=tuple(kept))
            yield self._step("beat", self._become(refused), "refused")
        if twin.beat_releases_nothing:
            return
        awaited = me.reply and not (me.forgone or twin.beat_releases_unreceived)
        received = me.calls - bool(awaited)
        named = self._named()
        after = self.setting.ledger.beat(row, me.id, received, named)
        if after != row and me.id not in self.state.reaped:
            yield self._step("beat", self._become(me, after), "releases", row.gen)
        claims_late = any(s.action == "claim" and s.worker == me.id for s in self.state.wire)
        if after != row or claims_late:  # any other beat that is late changes nothing
            yield from self._lose(me, Statement("beat", me.id, call=received, named=named))

    def _named(self) -> tuple[int, ...]:
        forgets = self.setting.twin.beat_forgets_unsettled
        known = [d for d in self.me.hands if d.phase in (*UNSTARTED, RUNNING) or not forgets]
        return self._gens_of(known)

    def _deliver(self, delivery: Delivery) -> Iterator[Step[State]]:
        if delivery.phase == AHEAD:
            yield from self._charge(delivery)
            yield from self._release(delivery)
            if self.setting.twin.start_uncharged:
                yield from self._start(delivery)
        elif delivery.phase == HELD:
            yield from self._start(delivery)
            yield from self._release(delivery)
        elif delivery.phase == RUNNING:
            yield from self._finish(delivery)
            yield from self._forfeit(delivery)
            if self.setting.twin.release_what_runs:
                yield from self._release(delivery)
        else:
            yield from self._settle(delivery)

    def _charge(self, delivery: Delivery) -> Iterator[Step[State]]:
        worker, gen = delivery.token
        charged = self.me.with_hand(delivery, delivery._replace(phase=HELD))
        row = self.setting.ledger.charge(self.state.row, worker, gen)
        yield self._about(delivery, "charge", self._become(charged, row))
        dropped = self.me.with_hand(delivery, None)
        unheard = charged if self.setting.twin.start_though_the_charge_is_lost else dropped
        yield from self._lose(unheard, Statement("charge", worker, gen))

    def _start(self, delivery: Delivery) -> Iterator[Step[State]]:
        if not self._fence_holds(delivery):
            return
        row = self.state.row
        row = row._replace(starts=row.starts + 1, started=row.gen == delivery.gen or row.started)
        started = self.me.with_hand(delivery, delivery._replace(phase=RUNNING))
        yield self._about(delivery, "start", self._become(started, row))

    def _fence_holds(self, delivery: Delivery) -> bool:
        """Whether the worker's clock lets it start: a judge has watched it for a whole lease."""
        twin = self.setting.twin
        identity = self.me.id if twin.fence_of_the_process else delivery.worker
        if twin.leaving_keeps_the_rest and identity in self.state.left:
            return True  # it has stopped to beat, which its clock will tell only after a lease
        if twin.judge_without_watching:
            return identity == self.me.id
        return twin.no_self_fence or (identity != NOBODY and identity not in self.state.reaped)

    def _release(self, delivery: Delivery) -> Iterator[Step[State]]:
        if not self.state.budget.drains:
            return
        keep = self.setting.twin.release_keeps_in_hand or delivery.phase == RUNNING
        me = self.me if keep else self.me.with_hand(delivery, None)
        row = self.setting.ledger.release(self.state.row, delivery.worker, delivery.gen)
        yield self._about(delivery, "release", self._become(me, row).spend("drains"))
        yield from self._lose(me, Statement("release", delivery.worker, delivery.gen))

    def _forfeit(self, delivery: Delivery) -> Iterator[Step[State]]:
        """The heartbeat gives up a job whose handler blocks everything else for too long."""
        if not self.state.budget.overruns:
            return
        worker, gen = delivery.token
        row = self.setting.ledger.forfeit(self.state.row, worker, gen)
        forfeited = self._become(self.me, row).spend("overruns")
        yield self._about(delivery, "forfeit", forfeited)
        for step in self._lose(self.me, Statement("forfeit", worker, gen)):
            yield step._replace(state=step.state.spend("overruns"))

    def _finish(self, delivery: Delivery) -> Iterator[Step[State]]:
        row = self.state.row
        for outcome in self.setting.outcomes:
            effects = outcome == COMPLETE and self.setting.twin.effects_outside_the_settle
            finished = self.me.with_hand(delivery, delivery._replace(phase=outcome))
            after = self._become(finished, row._replace(effects=row.effects + effects))
            if outcome != SNOOZE:
                yield self._about(delivery, "finish", after, outcome)
            elif self.state.budget.snoozes:
                yield self._about(delivery, "finish", after.spend("snoozes"), outcome)

    def _settle(self, delivery: Delivery) -> Iterator[Step[State]]:
        worker, gen = delivery.token
        outcome, accepted_before = delivery.phase, delivery.accepted
        row, ledger = self.state.row, self.setting.ledger
        in_transaction = self.setting.transaction and outcome == COMPLETE
        action = "settle_in_transaction" if in_transaction else "settle"
        told = ledger.accepts(row, gen) or ledger.recognises(row, worker, gen)
        overwritten = row.settled_gen > gen  # by the settle of a later attempt
        wronged = accepted_before and not told and not overwritten
        note = REFUSED_THOUGH_ACCEPTED if wronged else outcome if told else REFUSED
        after = self.setting.settle(row, worker, gen, outcome)
        settled = self._become(self.me.with_hand(delivery, None), after)
        yield self._about(delivery, action, settled, note)
        again = delivery._replace(phase=RETRY) if in_transaction else delivery
        statement = Statement(action, worker, gen, outcome=outcome)
        yield from self._lose(self.me.with_hand(delivery, again), statement)
