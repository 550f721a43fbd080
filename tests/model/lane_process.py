"""What a worker process can do in lane mode."""

from collections.abc import Iterator

from model.explorer import Step
from model.lane_state import (
    ACKING,
    AHEAD,
    FOUND,
    HELD,
    RUNNING,
    UNSTARTED,
    Delivery,
    Setting,
    State,
    Statement,
    Worker,
    lose,
    restarted,
)
from model.ledger import COMPLETE, LIVE, NOBODY, RETRY, Row
from model.redis_lane import Entry, RedisLane
from model.values import Value


class Process(Value, frozen=True):
    """One worker process in one state."""

    setting: Setting
    state: State
    number: int

    @property
    def me(self) -> Worker:
        """The process as it stands."""
        return self.state.workers[self.number]

    @property
    def _reaches_lane(self) -> bool:
        """Whether the lane is there, and at the epoch that the process goes by."""
        return not self.state.lost and not (self.state.direct and self.me.heeds)

    def steps(self) -> Iterator[Step[State]]:
        """Return what the process can do."""
        if self._reaches_lane:
            yield from self._take()
            yield from self._beat()
            yield from self._reassert()
        yield from self._ledger_beat()
        if self.me.reply and not self.me.hand:
            yield from self._receive(self.me.reply)
        if self.me.hand:
            yield from self._deliver(self.me.hand)
        if self.state.budget.crashes and (self.me.hand or self.me.reply):
            yield self._step(
                "crash", restarted(self.state, self.number).spend("crashes"), fault=True
            )

    def _step(
        self, action: str, state: State, note: str = "", *, fault: bool = False
    ) -> Step[State]:
        return Step(action, f"p{self.number}", state, note, fault)

    def _become(
        self, worker: Worker, *, row: Row | None = None, lane: RedisLane | None = None
    ) -> State:
        state, workers = self.state, self.state.workers
        workers = (*workers[: self.number], worker, *workers[self.number + 1 :])
        return state._replace(workers=workers, row=row or state.row, lane=lane or state.lane)

    def _with_hand(self, hand: Delivery | None) -> Worker:
        return self.me._replace(hand=hand)

    def _lose(self, worker: Worker, statement: Statement) -> Iterator[Step[State]]:
        return lose(self.setting, self._become(worker), statement, f"p{self.number}")

    def _take(self) -> Iterator[Step[State]]:
        state, me, entry = self.state, self.me, self.state.lane.ready()
        if me.hand or me.reply or me.silent or not state.gives or entry is None:
            return
        if _is_fresh(me) and any(_is_fresh(other) for other in state.workers[: self.number]):
            return  # one unused worker is like the other: let the first one take
        yield from self._take_as(entry, HELD)
        if state.budget.aheads:
            for step in self._take_as(entry, FOUND):
                yield step._replace(state=step.state.spend("aheads"))

    def _take_as(self, entry: Entry, phase: str) -> Iterator[Step[State]]:
        called = self.me._replace(calls=self.me.calls + 1)
        me = self.me
        if self.setting.twin.no_lease:
            lane = self.state.lane.pop(entry)
        else:
            lane = self.state.lane.lease(entry, me.id, called.calls)
        verify, strict = self._must_verify(entry), self._knows_strict
        reply = Delivery(entry.gen, entry.gen, called.calls, verify, phase, strict)
        yield self._step("take", self._become(called._replace(reply=reply), lane=lane))
        late = Statement("take", me.id, call=called.calls, epoch=self.state.served)
        yield from self._lose(called, late)

    def _receive(self, reply: Delivery) -> Iterator[Step[State]]:
        me, lane = self.me._replace(reply=None, forgone=False), self.state.lane
        if self.me.forgone and not self.setting.twin.forgone_reply_kept:
            if self._reaches_lane and me.id not in self.state.judged:
                verify = not self.setting.twin.release_unflagged
                lane = lane.release(reply.entry_gen, me.id, reply.call, verify=verify)
            yield self._step("release", self._become(me, lane=lane), "forgone")
        else:
            yield self._step("receive", self._become(me._replace(hand=reply)))
        if self.state.budget.overruns and not self.me.forgone:
            forgone = self._become(self.me._replace(forgone=True)).spend("overruns")
            yield self._step("forgo", forgone)

    def _must_verify(self, entry: Entry) -> bool:
        old = self.setting.entry_epochs and entry.epoch != self.state.epoch
        return entry.verify or self.state.verify_all or old

    def _beat(self) -> Iterator[Step[State]]:
        me, twin = self.me, self.setting.twin
        if me.id in self.state.judged:
            return
        if me.silent:
            if not self.state.direct:
                yield self._step("beat", self._become(self.voided()), "late")
            return
        if twin.beat_releases_nothing:
            return
        awaited = me.reply and not (me.forgone or twin.beat_releases_unreceived)
        received = me.calls - bool(awaited)
        named = (me.hand.entry_gen,) if me.hand and me.hand.phase != ACKING else ()
        lane = self.state.lane.beat(me.id, received, named, verify=not twin.release_unflagged)
        if lane != self.state.lane:
            yield self._step("beat", self._become(me, lane=lane), "releases")
        takes_late = any(s.action == "take" and s.worker == me.id for s in self.state.wire)
        if lane != self.state.lane or takes_late:  # any other beat that is late changes nothing
            late = Statement("beat", me.id, 0, received, "", self.state.served, named)
            yield from self._lose(me, late)

    def voided(self) -> Worker:
        """After a beat that came too late nothing starts that was taken before it."""
        me, twin = self.me._replace(silent=False, unaware=False), self.setting.twin
        if me.hand and me.hand.phase in UNSTARTED and not twin.late_beat_voids_nothing:
            me = me._replace(hand=None)
        return me if twin.late_beat_keeps_the_reply else me._replace(reply=None, forgone=False)

    def _ledger_beat(self) -> Iterator[Step[State]]:
        me = self.me
        if me.id in self.state.judged:
            zombie = me.hand if me.hand and me.hand.phase not in UNSTARTED else None
            fresh = restarted(self.state, self.number)
            workers = list(fresh.workers)
            workers[self.number] = workers[self.number]._replace(hand=zombie)
            yield self._step("beat", fresh._replace(workers=tuple(workers)), "refused")
            return
        named = (me.hand.gen,) if me.hand else ()
        row = self.setting.ledger.beat(self.state.row, me.id, me.calls, named)
        if row != self.state.row:
            yield self._step("beat", self._become(me, row=row), "releases in the ledger")

    def _reassert(self) -> Iterator[Step[State]]:
        me, lane = self.me, self.state.lane
        if not self.state.grace or self.state.direct:
            return
        if me.silent or not me.hand or me.hand.phase == ACKING:
            return
        if me.hand.gen == me.hand.entry_gen:
            lane = lane.reassert(me.hand.gen, me.id, me.hand.call, self.state.epoch)
            if lane != self.state.lane:
                yield self._step("reassert", self._become(me, lane=lane))

    def _deliver(self, hand: Delivery) -> Iterator[Step[State]]:
        if hand.phase == FOUND:
            yield from self._stale(hand)
        elif hand.phase in UNSTARTED:
            yield from self._prepare(hand)
            yield from self._release(hand)
        elif hand.phase == ACKING:
            yield from self._ack(hand, None)
        else:
            yield from self._settle(hand)

    def _prepare(self, hand: Delivery) -> Iterator[Step[State]]:
        if self._is_claimed(hand):
            yield from self._claim(hand)
        elif hand.verify:
            yield from self._stale(hand)
        elif hand.phase == AHEAD and not self.setting.twin.start_uncharged:
            yield from self._charge(hand)
        else:
            yield from self._start(hand)

    @property
    def _knows_strict(self) -> bool:
        return bool(self.state.promise) and not self.me.unaware

    def _is_claimed(self, hand: Delivery) -> bool:
        setting = self.setting
        after_loss = hand.verify and self.state.verify_all and setting.claim_after_loss
        last = setting.claims(hand) and not hand.verify and hand.gen == hand.entry_gen
        return after_loss or last

    def _is_current(self, hand: Delivery) -> bool:
        row = self.state.row
        return row.state == LIVE and row.gen == hand.gen and row.owner == NOBODY

    def _stale(self, hand: Delivery) -> Iterator[Step[State]]:
        """That it was taken ahead, and whether it may run: one statement."""
        found = hand.phase == FOUND
        seen = hand._replace(phase=AHEAD) if found else hand
        if hand.verify and not self._is_claimed(hand):
            current = self._is_current(hand)
            seen = seen._replace(verify=False) if current else hand._replace(phase=ACKING)
        known = self._become(self._with_hand(seen))
        if found:
            take = {(self.me.id, hand.call)}
            yield self._step("stale", known._replace(uncharged=known.uncharged | take))
            told = Statement("stale", self.me.id, 0, hand.call)
            yield from self._lose(self._with_hand(None), told)
        else:
            yield self._step("stale", known)

    def _charge(self, hand: Delivery) -> Iterator[Step[State]]:
        held = self._with_hand(hand._replace(phase=HELD))
        uncharged = self.state.uncharged - {(self.me.id, hand.call)}
        yield self._step("charge", self._become(held)._replace(uncharged=uncharged))
        unheard = (
            held if self.setting.twin.start_though_the_charge_is_lost else self._with_hand(None)
        )
        yield from self._lose(unheard, Statement("charge", self.me.id, 0, hand.call))

    def _claim(self, hand: Delivery) -> Iterator[Step[State]]:
        stale = hand._replace(phase=ACKING)
        if not self._is_current(hand):
            yield self._step("claim", self._become(self._with_hand(stale)), "refused")
            return
        row = self.setting.ledger.claim(self.state.row, self.me.id, hand.call)
        claimed = self._with_hand(hand._replace(gen=row.gen, verify=False))
        yield self._step("claim", self._become(claimed, row=row))
        late = Statement("claim", self.me.id, hand.gen, hand.call)
        yield from self._lose(self._with_hand(stale), late)

    def _start(self, hand: Delivery) -> Iterator[Step[State]]:
        fenced = self.me.silent or self.me.id in self.state.judged
        refused = self._knows_strict and hand.gen == hand.entry_gen
        twin = self.setting.twin
        if refused and not (twin.strict_not_claimed or twin.unclaimed_start_though_strict):
            yield self._step("forget", self._become(self._with_hand(None)), "unclaimed")
        elif not fenced or self.setting.twin.no_self_fence:
            row = self.state.row._replace(starts=self.state.row.starts + 1)
            running = self._with_hand(hand._replace(phase=RUNNING))
            yield self._step("start", self._become(running, row=row), f"gen {hand.gen}")

    def _release(self, hand: Delivery) -> Iterator[Step[State]]:
        if not self.state.budget.drains or hand.gen != hand.entry_gen:
            return
        blind = self.setting.twin.releases_by_the_loops_word
        if self.state.direct and self.me.heeds and not blind:
            row = self.setting.ledger.release(self.state.row, self.me.id, hand.gen)
            released = self._become(self._with_hand(None), row=row).spend("drains")
            yield self._step("release", released, "in the ledger")
        elif not self.state.lost:
            verify = not self.setting.twin.release_unflagged
            lane = self.state.lane
            if self.me.id not in self.state.judged:
                lane = lane.release(hand.gen, self.me.id, hand.call, verify=verify)
            released = self._become(self._with_hand(None), lane=lane).spend("drains")
            yield self._step("release", released)

    def finish(self, hand: Delivery) -> Iterator[Step[State]]:
        """Return how the handler may end."""
        completed = self._with_hand(hand._replace(phase=COMPLETE))
        yield self._step("finish", self._become(completed), COMPLETE)
        if self.state.budget.failures:
            failed = self._with_hand(hand._replace(phase=RETRY))
            yield self._step("finish", self._become(failed).spend("failures"), RETRY)

    def _settle(self, hand: Delivery) -> Iterator[Step[State]]:
        if self.setting.twin.ack_before_settle and self.state.lane.entries:
            yield from self._ack(hand, hand)
        acked = self._with_hand(hand._replace(phase=ACKING))
        row = self.setting.ledger.settle(self.state.row, self.me.id, hand.gen, hand.phase)
        yield self._step("settle", self._become(acked, row=row), f"gen {hand.gen} {hand.phase}")
        late = Statement("settle", self.me.id, hand.gen, outcome=hand.phase)
        yield from self._lose(self.me, late)

    def _ack(self, hand: Delivery, after: Delivery | None) -> Iterator[Step[State]]:
        lane = self.state.lane
        if self._reaches_lane:
            tomb = self.state.producer.window and not self.setting.twin.no_tombstone
            lane = lane.ack(hand.entry_gen, self.me.id, hand.call, tomb=tomb)
        yield self._step("ack", self._become(self._with_hand(after), lane=lane))
        if self.state.budget.losses:
            unsent = self._become(self._with_hand(after)).spend("losses")
            yield self._step("ack", unsent, "connection lost", fault=True)


def _is_fresh(worker: Worker) -> bool:
    return worker == Worker(worker.id, unaware=worker.unaware)
