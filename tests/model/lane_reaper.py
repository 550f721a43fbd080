"""The reaper in lane mode: the ledger voids what silent workers hold, then the lane follows."""

from collections.abc import Iterator

from model.explorer import Step
from model.lane_state import Reaper, Setting, State
from model.ledger import LIVE, NOBODY
from model.redis_lane import READY
from model.values import Value


class LaneReaper(Value, frozen=True):
    """Voids what silent workers hold, in the ledger first."""

    model: Setting
    state: State

    def steps(self) -> Iterator[Step[State]]:
        """Return what the reapers of the lane and of the ledger can do."""
        yield from self._owned()
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

    def _owned(self) -> Iterator[Step[State]]:
        """Judge and reap the owner of a row that was claimed in the ledger."""
        state, owner = self.state, self.state.row.owner
        if owner == NOBODY or state.row.state != LIVE:
            return
        if owner in state.judged:
            ahead = (owner, state.row.call) in state.uncharged
            row = self.model.ledger.reap(state.row, owner, left=ahead)
            yield Step("reap", "reaper", state._replace(row=row), f"w{owner}")
            return
        judged = state._replace(judged=state.judged | {owner})
        if all(worker.id != owner for worker in state.workers):
            yield Step("judge", "reaper", judged, f"w{owner}")
        elif state.budget.expiries:
            yield Step("judge", "reaper", judged.spend("expiries"), f"w{owner}", fault=True)

    def _step(
        self, action: str, state: State, note: str = "", *, fault: bool = False
    ) -> Step[State]:
        return Step(action, "reaper", state, note, fault)

    def _expired(self) -> Iterator[Step[State]]:
        state = self.state
        if state.lost or state.grace or state.direct:
            return
        awake = {worker.id for worker in state.workers if not worker.silent}
        for entry in state.lane.entries:
            if entry.holder == READY or (entry.holder in awake and not entry.condemned):
                continue
            if self.model.twin.reaper_redelivers_in_the_lane:
                lane = state.lane.release(entry.gen, entry.holder, entry.call, verify=False)
                yield self._step("release", state._replace(lane=lane))
            else:
                lease = (entry.holder, -1 if entry.condemned else entry.call)
                seen = Reaper("bump", entry.gen, entry.started, lease, state.epoch)
                lane = state.lane
                if not self.model.twin.expired_condemns_nothing:
                    lane = lane.condemn(entry)
                final = {entry.holder} if self.model.expired_is_final else set()
                listed = state._replace(lane=lane, reaper=seen, judged=state.judged | final)
                yield self._step("expired", listed, f"gen {entry.gen}")

    def _bump(self) -> Step[State]:
        state, reaper = self.state, self.state.reaper
        ran = reaper.started and reaper.lease not in state.uncharged
        row = self.model.ledger.bump(state.row, reaper.gen, started=ran)
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
        newer = reaper.gen > row.gen and self.model.twin.newer_than_the_ledger_is_kept
        if row.state == LIVE and (row.gen == reaper.gen or newer):
            after = Reaper()
        elif row.state == LIVE and ours:
            after = reaper._replace(action="put", new_gen=row.gen)
        else:
            after = reaper._replace(action="drop")
        return self._step("read", self.state._replace(reaper=after))

    def _repair(self) -> Step[State]:
        """Drop the old generation and put the ledger's, if it waits: one call.

        The ledger's is the older one where it was restored.
        """
        state, reaper = self.state, self.state.reaper
        tomb = state.producer.window and not self.model.twin.no_tombstone
        after = state._replace(lane=state.lane.drop(reaper.gen, tomb=tomb), reaper=Reaper())
        if reaper.new_gen:
            after = after._replace(lane=self.model.put(after, reaper.new_gen))
        return self._step(reaper.action, after, f"gen {reaper.gen}")
