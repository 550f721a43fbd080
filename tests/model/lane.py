"""Lane mode: one job carried by Redis and decided by the ledger, every network call a step."""

from collections.abc import Iterator
from dataclasses import dataclass

from model import properties
from model.explorer import Step
from model.lane_process import Process
from model.lane_state import (
    ACKING,
    AGAIN,
    DONE,
    FRESH,
    HELD,
    NEW,
    RUNNING,
    Delivery,
    Producer,
    Reaper,
    Setting,
    State,
    Statement,
    Worker,
    lose,
    tidied,
)
from model.ledger import COMPLETE, DEAD, LIVE, NOBODY, RETRY, Row
from model.redis_lane import READY, RedisLane


@dataclass(frozen=True, slots=True)
class Lane(Setting):
    """The model of lane mode."""

    def initial(self) -> State:
        """Return idle workers, an empty lane and no job."""
        workers = tuple(Worker(number + 1) for number in range(self.workers))
        return State(Row(), RedisLane(), workers, self.budget, registered=self.workers)

    def finished(self, state: State) -> bool:
        """Return whether the job has ended."""
        return state.row.state in (COMPLETE, DEAD)

    def broken(self, before: State, step: Step[State]) -> Iterator[str]:
        """Return the properties that the step breaks."""
        if step.state.row.completions > 1:
            yield properties.ONE_COMPLETION
        if step.action == "start":
            yield from self._broken_by_start(before, step.state)

    def _broken_by_start(self, before: State, after: State) -> Iterator[str]:
        left, given = after.budget, self.budget
        lost = given.flushes + given.failovers - left.flushes - left.failovers
        zombie = left.expiries < given.expiries
        hands = [worker.hand for worker in after.workers if worker.hand]
        held = [hand.gen for hand in hands if hand.phase in (RUNNING, COMPLETE, RETRY)]
        row = before.row
        if zombie and lost and not self.claim_after_loss:
            # R1's exception: the grace gave the token of a worker that was cut off to another.
            held = list(set(held))
            shared = any(hand[::4] == (row.settled_gen, RUNNING) for hand in hands)
            row = row._replace(state=LIVE) if shared else row
        yield from properties.of_start(row, held, zombie=zombie)
        if after.row.starts > row.failures + row.crashes + 1 + lost * (self.max_attempts > 1):
            yield properties.CHARGED

    def steps(self, state: State) -> Iterator[Step[State]]:
        """Return what producer, relay, reapers, workers, faults and time can do."""
        if self.finished(state) and self._is_quiet(state):
            return
        for step in self._steps(state):
            yield step._replace(state=tidied(step.state))

    def _is_quiet(self, state: State) -> bool:
        """Whether nothing can start any more, since all that may still come is to be verified."""
        held = [worker.hand for worker in state.workers if worker.hand]
        given = [worker.reply for worker in state.workers if worker.reply]
        waiting = [hand for hand in held if hand.phase == HELD] + given
        puts = (state.relay or state.reaper.action) and self.twin.relay_put_unflagged
        covered = state.verify_all and not self.twin.verify_all_ends_by_time
        return (
            not any(statement.action != "settle" for statement in state.wire)
            and state.producer.stage == DONE
            and state.snapshot is None
            and not puts
            and all(delivery.verify for delivery in waiting)
            and (covered or all(entry.verify for entry in state.lane.entries))
        )

    def _steps(self, state: State) -> Iterator[Step[State]]:
        for number, worker in enumerate(state.workers):
            if worker.hand and worker.hand.phase == RUNNING:
                # The end of a handler is nobody else's business: whatever may come first, may
                # come just as well between the end and the settle.
                yield from Process(self, state, number).finish(worker.hand)
                return
        yield from self._producer(state)
        yield from self._relay(state)
        yield from _LaneReaper(self, state).steps()
        yield from self._ledger_reaper(state)
        yield from self._late(state)
        yield from _Faults(self, state).steps()
        for number in range(len(state.workers)):
            yield from Process(self, state, number).steps()

    def _producer(self, state: State) -> Iterator[Step[State]]:
        producer = state.producer
        if producer.stage == NEW:
            inserted = Producer(FRESH, state.epoch)
            row = self.ledger.insert(state.row)
            yield Step("insert", "producer", state._replace(row=row, producer=inserted))
        elif producer.stage != DONE:
            yield from self._push(state, producer)
        if producer.window and producer.stage != NEW:
            late = producer._replace(window=False)
            if not self.twin.late_put_unflagged:
                late = _flagged(late)
            yield Step("late", "clock", state._replace(producer=late))

    def _push(self, state: State, producer: Producer) -> Iterator[Step[State]]:
        if state.lost:
            return
        put = Statement("put", epoch=producer.epoch)
        if producer.stage == AGAIN:
            lane = state.lane.put(1, self._mark(state), verify=False)
            done = state._replace(lane=lane, producer=producer._replace(stage=DONE))
            yield Step("put", "producer", done, "again")
            return
        again = producer._replace(stage=AGAIN)
        again = again if self.twin.second_put_unflagged else _flagged(again)
        after = producer._replace(stage=DONE) if producer.epoch == state.epoch else again
        yield Step("put", "producer", self.first_put(state, put)._replace(producer=after))
        yield from lose(self, state._replace(producer=again), put, "producer")

    def first_put(self, state: State, put: Statement) -> State:
        """Push what was just inserted, unverified if its stamp and its epoch are current."""
        if put.epoch != state.epoch and not self.twin.put_without_epoch:
            return state
        verify = not state.producer.window and not self.twin.late_put_unflagged
        return state._replace(lane=state.lane.put(1, self._mark(state), verify=verify))

    def _mark(self, state: State) -> int:
        return state.epoch if self.entry_epochs else 0

    def put(self, state: State, gen: int) -> RedisLane:
        """Put what was read in the ledger: always to be verified."""
        verify = not self.twin.relay_put_unflagged
        return state.lane.put(gen, self._mark(state), verify=verify)

    def _relay(self, state: State) -> Iterator[Step[State]]:
        if state.relay and not state.lost:
            lane = self.put(state, state.relay)
            yield Step("put", "relay", state._replace(lane=lane, relay=0), f"gen {state.relay}")
        due = state.row.state == LIVE and state.row.owner == NOBODY
        if due and not state.relay and not self.twin.no_sweep:
            yield Step("sweep", "relay", state._replace(relay=state.row.gen))

    def _ledger_reaper(self, state: State) -> Iterator[Step[State]]:
        owner = state.row.owner
        if owner == NOBODY or state.row.state != LIVE:
            return
        if owner in state.judged:
            row = self.ledger.reap(state.row, owner)
            yield Step("reap", "reaper", state._replace(row=row), f"w{owner}")
            return
        judged = state._replace(judged=state.judged | {owner})
        if all(worker.id != owner for worker in state.workers):
            yield Step("judge", "reaper", judged, f"w{owner}")
        elif state.budget.expiries:
            yield Step("judge", "reaper", judged.spend("expiries"), f"w{owner}", fault=True)

    def _late(self, state: State) -> Iterator[Step[State]]:
        for index, statement in enumerate(state.wire):
            rest = state._replace(wire=state.wire[:index] + state.wire[index + 1 :])
            after = self._take_effect(rest, statement)
            yield Step(statement.action, "late", after, f"w{statement.worker}")

    def _take_effect(self, state: State, late: Statement) -> State:
        row, ledger = state.row, self.ledger
        if late.action == "settle":
            row = ledger.settle(row, late.worker, late.gen, late.outcome)
        elif late.action == "claim" and row.claimable and row.gen == late.gen:
            row = ledger.claim(row, late.worker, late.call)
        elif late.action == "put" and not state.lost:
            return self.first_put(state, late)
        elif not state.lost and late.epoch == state.epoch:
            return state._replace(lane=self._served(state, late))
        return state._replace(row=row)

    def _served(self, state: State, late: Statement) -> RedisLane:
        if late.action == "beat":
            verify = not self.twin.release_unflagged
            return state.lane.beat(late.worker, late.call, late.named, verify=verify)
        entry = None if state.grace else state.lane.ready()
        return state.lane.lease(entry, late.worker, late.call) if entry else state.lane


def _flagged(producer: Producer) -> Producer:
    """Leave the push to the relay: a put to be verified is the same whoever sends it."""
    return producer._replace(stage=DONE)


@dataclass(frozen=True, slots=True)
class _LaneReaper:
    """Voids what silent workers hold, in the ledger first."""

    model: Lane
    state: State

    def steps(self) -> Iterator[Step[State]]:
        state, reaper, twin = self.state, self.state.reaper, self.model.twin
        if twin.no_reaper:
            return
        if not reaper.action:
            yield from self._expired()
            return
        if state.budget.crashes:
            yield self._step("crash", state.spend("crashes")._replace(reaper=Reaper()), fault=True)
        if reaper.epoch != state.epoch and not twin.bump_without_epoch:
            yield self._step(reaper.action, state._replace(reaper=Reaper()), "old epoch")
        elif reaper.action == "bump":
            yield self._bump()
        elif reaper.action == "read":
            yield self._read()
        elif not state.lost:
            yield self._repair()

    def _step(
        self, action: str, state: State, note: str = "", *, fault: bool = False
    ) -> Step[State]:
        return Step(action, "reaper", state, note, fault)

    def _expired(self) -> Iterator[Step[State]]:
        state = self.state
        if state.lost or state.grace:
            return
        awake = {worker.id for worker in state.workers if not worker.silent}
        for entry in state.lane.entries:
            if entry.holder == READY or (entry.holder in awake and not entry.condemned):
                continue
            if self.model.twin.reaper_redelivers_in_the_lane:
                lane = state.lane.release(entry.gen, entry.holder, entry.call, verify=False)
                yield self._step("release", state._replace(lane=lane))
            else:
                seen = Reaper("bump", entry.gen, entry.started, state.epoch)
                lane = state.lane
                if not self.model.twin.expired_condemns_nothing:
                    lane = lane.condemn(entry)
                listed = state._replace(lane=lane, reaper=seen)
                yield self._step("expired", listed, f"gen {entry.gen}")

    def _bump(self) -> Step[State]:
        state, reaper = self.state, self.state.reaper
        row = self.model.ledger.bump(state.row, reaper.gen, started=reaper.started)
        if row == state.row:
            after = reaper._replace(action="read")
        elif row.state == LIVE:
            after = reaper._replace(action="put", new_gen=row.gen)
        else:
            after = reaper._replace(action="drop")
        return self._step("bump", state._replace(row=row, reaper=after), f"gen {reaper.gen}")

    def _read(self) -> Step[State]:
        row, reaper = self.state.row, self.state.reaper
        ours = row.owner == NOBODY or self.model.twin.reaper_puts_owned_rows
        if row.state == LIVE and row.gen == reaper.gen:
            after = Reaper()
        elif row.state == LIVE and ours:
            after = reaper._replace(action="put", new_gen=row.gen)
        else:
            after = reaper._replace(action="drop")
        return self._step("read", self.state._replace(reaper=after))

    def _repair(self) -> Step[State]:
        """Put the newer generation, if there is one, and drop the old: one call."""
        state, reaper = self.state, self.state.reaper
        lane = self.model.put(state, reaper.new_gen) if reaper.new_gen else state.lane
        tomb = state.producer.window and not self.model.twin.no_tombstone
        after = state._replace(lane=lane.drop(reaper.gen, tomb=tomb), reaper=Reaper())
        return self._step(reaper.action, after, f"gen {reaper.gen}")


@dataclass(frozen=True, slots=True)
class _Faults:
    """Leases that end while their worker lives, lanes that lose data, and the way back."""

    model: Lane
    state: State

    def steps(self) -> Iterator[Step[State]]:
        yield from self._lapse()
        if self.state.lost:
            yield self._rebuild()
        else:
            yield from self._lose_data()
        if self.state.grace:
            yield from self._reopen()
        elif self.state.verify_all and self.model.twin.verify_all_ends_by_time:
            yield Step("late", "clock", self.state._replace(verify_all=False), "verify_all ends")

    def _lapse(self) -> Iterator[Step[State]]:
        state = self.state
        holders = {entry.holder for entry in state.lane.entries}
        holders |= {statement.worker for statement in state.wire}
        for number, worker in enumerate(state.workers):
            if state.budget.expiries and not worker.silent and worker.id in holders:
                after = _silenced(state, number).spend("expiries")
                yield Step("lapse", "clock", after, f"w{worker.id}", fault=True)

    def _lose_data(self) -> Iterator[Step[State]]:
        state = self.state
        if state.producer.stage == NEW:
            return
        if state.budget.flushes:
            empty = state._replace(lane=RedisLane(), lost=True).spend("flushes")
            yield Step("flush", "redis", empty, fault=True)
        if state.budget.failovers and state.snapshot != state.lane:
            yield Step("replicate", "redis", state._replace(snapshot=state.lane))
            if state.snapshot is not None:
                older = state._replace(lane=state.snapshot, lost=True, snapshot=None)
                yield Step("failover", "redis", older.spend("failovers"), fault=True)

    def _rebuild(self) -> Step[State]:
        verify_all = not self.model.twin.no_verify_all
        rebuilt = self.state._replace(lost=False, epoch=self.state.epoch + 1, grace=True)
        return Step("rebuild", "relay", rebuilt._replace(verify_all=verify_all))

    def _reopen(self) -> Iterator[Step[State]]:
        """The grace is over: whoever did not reassert was cut off for all of it."""
        state, twin = self.state, self.model.twin
        after = state._replace(grace=False)
        if twin.no_grace:
            yield Step("reopen", "clock", after)
            return
        cut = [n for n, worker in enumerate(state.workers) if _unasserted(state, worker)]
        if not twin.old_reply_kept:
            workers = tuple(
                worker if number in cut else worker._replace(reply=None)
                for number, worker in enumerate(state.workers)
            )
            after = after._replace(workers=workers)
        if not cut:
            yield Step("reopen", "clock", after)
        elif state.budget.expiries:
            for number in cut:
                after = _silenced(after, number)
            yield Step("reopen", "clock", after.spend("expiries"), "worker cut off", fault=True)


def _silenced(state: State, number: int) -> State:
    workers = list(state.workers)
    workers[number] = workers[number]._replace(silent=True)
    return state._replace(workers=tuple(workers))


def _unasserted(state: State, worker: Worker) -> bool:
    """Whether the lane does not know that a live worker holds the current generation."""
    hand = worker.hand
    if worker.silent or not _matters(hand, state.row):
        return False
    return all(entry.holder != worker.id for entry in state.lane.entries)


def _matters(hand: Delivery | None, row: Row) -> bool:
    return (
        hand is not None
        and hand.phase != ACKING
        and hand.gen == hand.entry_gen == row.gen
        and row.state == LIVE
    )
