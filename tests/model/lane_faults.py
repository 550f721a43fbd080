"""Leases that end while their worker lives, lanes that lose their data, and the way back."""

from collections.abc import Iterator

from model.explorer import Step
from model.lane_state import ACKING, NEW, Reaper, Setting, State, Worker
from model.ledger import LIVE
from model.redis_lane import RedisLane
from model.values import Value


class Faults(Value, frozen=True):
    """Leases that end while their worker lives, lanes that lose data, and the way back."""

    model: Setting
    state: State

    def steps(self) -> Iterator[Step[State]]:
        """Return the faults that the budget allows, and the repairs."""
        yield from self._lapse()
        yield from self._restore()
        if self.state.strange and not self.model.twin.strange_lane_kept:
            yield self._recognise()
        elif self.state.lost:
            if not self.state.direct:
                yield from self._rebuild()
        else:
            yield from self._lose_data()
        if self.state.direct:
            return
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

    def _restore(self) -> Iterator[Step[State]]:
        """The ledger goes back to a dump, while lane and workers live on."""
        state = self.state
        if not state.budget.restores:
            return
        now = (state.row, state.epoch)
        if state.row.state == LIVE and state.dump is None:
            yield Step("dump", "operator", state._replace(dump=now))
        if state.dump is not None and state.dump != now:
            row, epoch = state.dump
            restored = state._replace(
                row=row, dump=None, strange=True, ahead=epoch < state.epoch, reaper=Reaper()
            )
            yield Step("restore", "operator", restored.spend("restores"), fault=True)

    def _recognise(self) -> Step[State]:
        """The ledger passes the lane's epoch, so that all of it is refused until it is empty."""
        known = self.state._replace(strange=False, lost=True, lane=RedisLane())
        return Step("recognise", "relay", known)

    def _rebuild(self) -> Iterator[Step[State]]:
        if self.state.ahead and self.model.twin.later_epoch_not_passed:
            return  # the lane refuses an earlier epoch than its own
        verify_all = not self.model.twin.no_verify_all
        epoch = self.state.epoch + 1
        rebuilt = self.state._replace(lost=False, epoch=epoch, grace=True, ahead=False)
        yield Step("rebuild", "relay", rebuilt._replace(verify_all=verify_all))

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
                worker if number in cut else worker._replace(reply=None, forgone=False)
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
    if hand is None or worker.silent or hand.phase == ACKING or state.row.state != LIVE:
        return False
    leased = any(e.gen == hand.gen and e.holder == worker.id for e in state.lane.entries)
    return hand.gen == hand.entry_gen == state.row.gen and not leased
