"""An operator who cancels the job in lane mode: flag, ask, commit, look again, drop."""

from collections.abc import Iterator

from model.explorer import Step
from model.lane_state import NEW, Operator, Setting, State
from model.ledger import LIVE, NOBODY
from model.values import Value

ANSWERED_DONE = "done"
OTHERS = "starting, running or unfit"  # nothing is promised


class LaneOperator(Value, frozen=True):
    """Cancels the job once; every call is its own step."""

    model: Setting
    state: State

    def steps(self) -> Iterator[Step[State]]:
        """Return what the operator can do."""
        state, me, twin = self.state, self.state.operator, self.model.twin
        if me.action and state.budget.crashes:
            crashed = state.spend("crashes")._replace(operator=Operator())
            yield Step("crash", "operator", crashed, fault=True)
        if not me.action:
            yield from self._begin()
            yield from self._reprioritise_blindly()
        elif me.action == "ask":
            current = state.row.state == LIVE and state.row.owner == NOBODY
            running = current and state.row.gen in me.held
            yield self._answer("ask") if running else self._go("ask", me._replace(action="cancel"))
        elif me.action == "cancel":
            yield self._cancel(me)
        elif me.action == "look":
            moved = state.lost or me.epoch != state.epoch
            taken = set(state.lane.held()) - set(me.held)
            sure = not moved or twin.cancel_trusts_any_epoch
            if sure and (not taken or twin.cancel_looks_once):
                yield self._go("look", me._replace(action="drop"))
            else:
                yield self._answer("look")
        else:
            yield self._drop(me)

    def _go(self, action: str, after: Operator, *, fault: bool = False) -> Step[State]:
        return Step(action, "operator", self.state._replace(operator=after), fault=fault)

    def _answer(self, action: str, answer: str = "") -> Step[State]:
        return self._go(action, Operator(answer=answer))._replace(note=answer or OTHERS)

    def _begin(self) -> Iterator[Step[State]]:
        state, twin = self.state, self.model.twin
        if not state.budget.cancels or state.producer.stage == NEW:
            return
        asked = state.spend("cancels")
        blind = asked._replace(operator=Operator("cancel"))
        if state.lost or state.grace:
            yield Step("flag", "operator", blind, "lane away", fault=True)
            return
        if state.budget.losses:
            yield Step("flag", "operator", blind.spend("losses"), "connection lost", fault=True)
        tomb = state.producer.window and not twin.cancel_leaves_no_tombstone
        lane = state.lane if twin.cancel_without_flag else state.lane.flag(tomb=tomb)
        held = lane.held()
        me = Operator("ask" if held else "cancel", held, state.epoch)
        flagged = asked._replace(lane=lane, operator=me)
        yield Step("flag", "operator", flagged, fault=True)

    def _reprioritise_blindly(self) -> Iterator[Step[State]]:
        """A twin's change of a job that runs again, while the lane cannot tell who has it."""
        state, row = self.state, self.state.row
        free = row.state == LIVE and row.owner == NOBODY
        if self.model.twin.reprioritise_blindly and state.budget.changes and free:
            changed = state.spend("changes")._replace(row=row._replace(gen=row.gen + 1))
            yield Step("reprioritise", "operator", changed, "lane away", fault=True)

    def _cancel(self, me: Operator) -> Step[State]:
        row = self.model.ledger.cancel(self.state.row)
        if row == self.state.row or not me.epoch:
            told = self.state._replace(row=row, operator=Operator())
            return Step("cancel", "operator", told, OTHERS)
        after = self.state._replace(row=row, operator=me._replace(action="look"))
        return Step("cancel", "operator", after)

    def _drop(self, me: Operator) -> Step[State]:
        state = self.state
        lane = state.lane
        if not state.lost and me.epoch == state.epoch:
            lane = lane.drop(state.row.gen - 1, tomb=state.producer.window)
        after = state._replace(lane=lane, operator=Operator(answer=ANSWERED_DONE))
        return Step("drop", "operator", after, ANSWERED_DONE)
