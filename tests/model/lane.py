"""Lane mode: one job carried by Redis and decided by the ledger, every network call a step."""

from collections.abc import Iterator
from dataclasses import dataclass

from model import properties
from model.explorer import Step
from model.lane_faults import Faults
from model.lane_operator import ANSWERED_DONE, LaneOperator
from model.lane_process import Process
from model.lane_promise import Promise, broken_by_start
from model.lane_reaper import LaneReaper
from model.lane_state import (
    AGAIN,
    DONE,
    FRESH,
    KEPT,
    NEW,
    RUNNING,
    UNSTARTED,
    Producer,
    Setting,
    State,
    Statement,
    Worker,
    lose,
)
from model.lane_switch import Switch, adopted, can_claim
from model.lane_tidying import tidied
from model.ledger import CANCELLED, COMPLETE, LIVE, NOBODY, OVER, RETRY, Row
from model.redis_lane import RedisLane


@dataclass(frozen=True, slots=True)
class Lane(Setting):
    """The model of lane mode."""

    def initial(self) -> State:
        """Return idle workers, an empty lane and no job."""
        workers = tuple(Worker(number + 1) for number in range(self.workers))
        state = State(Row(), RedisLane(), workers, self.budget, registered=self.workers)
        return state._replace(promise=KEPT if self.strict else "")

    def finished(self, state: State) -> bool:
        """Return whether the job has ended."""
        return state.row.state in OVER

    def broken(self, before: State, step: Step[State]) -> Iterator[str]:
        """Return the properties that the step breaks."""
        if step.state.row.completions > 1:
            yield properties.ONE_COMPLETION
        if step.state.row.wronged:
            yield properties.UNCHARGED
        if step.action == "start":
            yield from self._broken_by_start(before, step.state)
            yield from broken_by_start(self, step)
        if step.state.operator.answer == ANSWERED_DONE:
            yield from self._broken_by_cancel(before, step)

    def _broken_by_cancel(self, before: State, step: Step[State]) -> Iterator[str]:
        told = before.operator.answer == ANSWERED_DONE
        if told and step.action == "start":
            yield properties.NO_START_AFTER_CANCEL
        hands = [worker.hand for worker in step.state.workers if worker.hand]
        runs = [hand for hand in hands if hand.phase in (RUNNING, COMPLETE, RETRY)]
        zombie = step.state.budget.expiries < self.budget.expiries
        if not (told or zombie) and any(hand.gen == step.state.row.gen - 1 for hand in runs):
            yield properties.CANCELLED_UNTOLD

    def _broken_by_start(self, before: State, after: State) -> Iterator[str]:
        left, given = after.budget, self.budget
        if left.restores < given.restores:
            return  # attempts of the lost history run on as zombies, under tokens given again
        lost = sum(given.losses_of_lane) - sum(left.losses_of_lane)
        zombie = left.expiries < given.expiries
        hands = [worker.hand for worker in after.workers if worker.hand]
        row = before.row
        unsettled = [hand for hand in hands if hand.phase in (RUNNING, COMPLETE, RETRY)]
        held = [h.gen for h in unsettled if h.phase == RUNNING or h.gen != row.settled_gen]
        if zombie and lost and not self.claim_after_loss:
            # R1's exception: the grace gave the token of a worker that was cut off to another.
            held = list(set(held))
            shared = any((hand.gen, hand.phase) == (row.settled_gen, RUNNING) for hand in hands)
            row = row._replace(state=LIVE) if shared else row
        if row.state == CANCELLED:  # a start that may come late is told of by the answer
            row = row._replace(state=LIVE)
        yield from properties.of_start(row, held, zombie=zombie)
        uncounted = lost if self.max_attempts > 1 else 0  # marks that went with the lane's data
        charged = row.failures + row.crashes
        if before.row.state == LIVE and after.row.starts > charged + 1 + uncounted:
            yield properties.CHARGED

    def steps(self, state: State) -> Iterator[Step[State]]:
        """Return what producer, relay, reapers, workers, faults and time can do."""
        if self.finished(state) and self._is_quiet(state) and state.dump is None:
            return
        for step in self._steps(state):
            yield step._replace(state=tidied(step.state))

    def _is_quiet(self, state: State) -> bool:
        """Whether nothing can start any more, since all that may still come is to be verified."""
        held = [worker.hand for worker in state.workers if worker.hand]
        given = [worker.reply for worker in state.workers if worker.reply]
        waiting = [hand for hand in held if hand.phase in UNSTARTED] + given
        puts = (state.relay or state.reaper.action) and self.twin.relay_put_unflagged
        covered = state.verify_all and not self.twin.verify_all_ends_by_time
        return (
            not any(statement.action != "settle" for statement in state.wire)
            and state.producer.stage == DONE
            and state.snapshot is None
            and not state.operator.action
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
        yield from LaneReaper(self, state).steps()
        yield from LaneOperator(self, state).steps()
        yield from self._late(state)
        yield from Faults(self, state).steps()
        yield from Switch(self, state).steps()
        yield from Promise(self, state).steps()
        for number in range(len(state.workers)):
            yield from Process(self, state, number).steps()

    def _producer(self, state: State) -> Iterator[Step[State]]:
        producer = state.producer
        if producer.stage == NEW:
            row = self.ledger.insert(state.row)
            pushing = Producer(FRESH, state.served)  # it may not have heard of a switch
            if self.pushes:
                yield Step("insert", "producer", state._replace(row=row, producer=pushing))
            if not self.pushes or state.direct:
                done = state._replace(row=row, producer=Producer(DONE))
                yield Step("insert", "producer", done, "not pushed")
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
            lane = state.lane.put(1, self.mark(state), verify=False)
            done = state._replace(lane=lane, producer=producer._replace(stage=DONE))
            yield Step("put", "producer", done, "again")
            return
        again = producer._replace(stage=AGAIN)
        again = again if self.twin.second_put_unflagged else _flagged(again)
        after = producer._replace(stage=DONE) if producer.epoch == state.served else again
        yield Step("put", "producer", self.first_put(state, put)._replace(producer=after))
        yield from lose(self, state._replace(producer=again), put, "producer")

    def first_put(self, state: State, put: Statement) -> State:
        """Push what was just inserted, unverified if its stamp and its epoch are current."""
        if put.epoch != state.served and not self.twin.put_without_epoch:
            return state
        verify = not state.producer.window and not self.twin.late_put_unflagged
        return state._replace(lane=state.lane.put(1, self.mark(state), verify=verify))

    def _relay(self, state: State) -> Iterator[Step[State]]:
        if state.relay and not state.lost:
            lane = self.put(state, state.relay)
            yield Step("put", "relay", state._replace(lane=lane, relay=0), f"gen {state.relay}")
        due = state.row.state == LIVE and state.row.owner == NOBODY
        if due and not (state.relay or state.direct or self.twin.no_sweep):
            yield Step("sweep", "relay", state._replace(relay=state.row.gen))

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
        elif late.action == "adopt":
            if (state.direct and late.epoch == state.epoch) or self.twin.adopt_without_epoch:
                row = adopted(row, late.worker, late.gen, late.call) or row
        elif late.action == "claim direct":
            if row.claimable and can_claim(state):
                row = ledger.claim(row, late.worker, late.call)
        elif late.action in ("stale", "charge"):
            return state._replace(uncharged=_as_said(state.uncharged, late))
        elif late.action == "put" and not state.lost:
            return self.first_put(state, late)
        elif not state.lost and late.epoch == state.served:
            return state._replace(lane=self._served(state, late))
        return state._replace(row=row)

    def _served(self, state: State, late: Statement) -> RedisLane:
        if late.action == "beat" and late.worker in state.judged:
            return state.lane
        if late.action == "beat":
            verify = not self.twin.release_unflagged
            return state.lane.beat(late.worker, late.call, late.named, verify=verify)
        entry = state.lane.ready() if state.gives else None
        return state.lane.lease(entry, late.worker, late.call) if entry else state.lane


def _as_said(uncharged: frozenset[tuple[int, int]], late: Statement) -> frozenset[tuple[int, int]]:
    take = {(late.worker, late.call)}
    return uncharged | take if late.action == "stale" else uncharged - take


def _flagged(producer: Producer) -> Producer:
    """Leave the push to the relay: a put to be verified is the same whoever sends it."""
    return producer._replace(stage=DONE)
