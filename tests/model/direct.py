"""Direct mode: one job's delivery straight from PostgreSQL, every statement and reply a step."""

from collections.abc import Iterator
from dataclasses import dataclass

from model import properties
from model.direct_process import Process
from model.direct_state import AHEAD, RUNNING, Setting, State, Statement, Worker, tidied
from model.explorer import Step
from model.ledger import COMPLETE, DEAD, Row


@dataclass(frozen=True, slots=True)
class Direct(Setting):
    """The model of direct mode."""

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
        if self.blame is not None:
            yield from properties.of_blame(step.state.row, self.blame)
        if step.action == "start":
            yield from self._broken_by_start(before, step.state)
        if step.note == properties.REFUSED_THOUGH_ACCEPTED:
            yield properties.TOLD

    def _broken_by_start(self, before: State, after: State) -> Iterator[str]:
        running = [d.gen for w in after.workers for d in w.hands if d.phase == RUNNING]
        left, given = after.budget, self.budget
        cut_off = left.expiries < given.expiries or left.overruns < given.overruns
        unended = any(d.token in after.unended for w in after.workers for d in w.hands)
        yield from properties.of_start(before.row, running, zombie=cut_off or unended)

    def steps(self, state: State) -> Iterator[Step[State]]:
        """Return what producer, reaper, late statements and workers can do."""
        for step in self._steps(state):
            yield step._replace(state=tidied(step.state, blame=self.blame is not None))

    def _steps(self, state: State) -> Iterator[Step[State]]:
        yield from self._producer(state)
        yield from self._late(state)
        if not self.twin.no_reaper:
            yield from self._reaper(state)
        for number in range(len(state.workers)):
            yield from Process(self, state, number).steps()

    def _producer(self, state: State) -> Iterator[Step[State]]:
        if state.inserted:
            return
        row = self.ledger.insert(state.row)
        yield Step("insert", "producer", state._replace(row=row, inserted=True))
        if state.budget.losses:
            unheard = state._replace(row=row).spend("losses")
            yield Step("insert", "producer", unheard, "reply lost", fault=True)

    def _late(self, state: State) -> Iterator[Step[State]]:
        for index, statement in enumerate(state.wire):
            rest = state._replace(wire=state.wire[:index] + state.wire[index + 1 :])
            after = self._commit(rest, statement)
            about = statement.worker, statement.gen
            yield Step(statement.action, "late", after, "", False, *about)

    def _commit(self, state: State, late: Statement) -> State:
        row, ledger = state.row, self.ledger
        if late.action == "claim":
            ahead = late.outcome == AHEAD
            claimed = ledger.claim(row, late.worker, late.call, ahead=ahead)
            after = claimed if row.claimable else row
        elif late.action == "charge":
            after = ledger.charge(row, late.worker, late.gen)
        elif late.action == "release":
            after = ledger.release(row, late.worker, late.gen)
        elif late.action == "forfeit":
            after = ledger.forfeit(row, late.worker, late.gen)
        elif late.action == "beat":
            refused = late.worker in state.reaped
            after = row if refused else ledger.beat(row, late.worker, late.call, late.named)
        else:
            after = self.settle(row, late.worker, late.gen, late.outcome)
            if ledger.accepts(row, late.gen):
                state = state._replace(workers=_with_accepted(state.workers, late))
        return state._replace(row=after)

    def _reaper(self, state: State) -> Iterator[Step[State]]:
        alive = {worker.id for worker in state.workers}
        for worker in range(1, state.registered + 1):
            if worker in state.reaped:
                yield from self._reap(state, worker)
            elif worker not in alive:
                yield self._judge(state, worker, fault=False)
            elif state.budget.expiries:
                yield self._judge(state.spend("expiries"), worker, fault=True)

    def _judge(self, state: State, worker: int, *, fault: bool) -> Step[State]:
        if self.twin.release_by_silence:
            row = self.ledger.release(state.row, worker, state.row.gen)
            released = state._replace(row=row)
            return Step("release", "reaper", released, "", fault, worker)
        row = self.ledger.reap(state.row, worker) if self.twin.reap_once else state.row
        judged = state._replace(row=row, reaped=state.reaped | {worker})
        return Step("judge", "reaper", judged, "", fault, worker)

    def _reap(self, state: State, worker: int) -> Iterator[Step[State]]:
        idle = worker in state.left and (worker, state.row.gen) not in state.unended
        left = idle and not self.twin.leaving_counts_as_crash
        row = self.ledger.reap(state.row, worker, left=left)
        if row != state.row and not self.twin.reap_once:
            reaped = state._replace(row=row)
            yield Step("reap", "reaper", reaped, "", False, worker, state.row.gen)


def _with_accepted(workers: tuple[Worker, ...], settle: Statement) -> tuple[Worker, ...]:
    """Mark the sender's delivery, if it still has it: its settle was accepted unheard."""
    token = (settle.worker, settle.gen)
    return tuple(
        worker._replace(
            hands=tuple(d._replace(accepted=True) if d.token == token else d for d in worker.hands)
        )
        for worker in workers
    )
