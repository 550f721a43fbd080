"""Jobs of one key: producers whose transactions overlap, a lane, a worker, the keeper that prunes.

Each producer makes one call, whose job has its number, and may send it again. What it writes
becomes visible at its commit; until then it holds the key's row and, where its answer means that a
job will see what it writes, that job's row.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from model.explorer import Step
from model.values import Value

ONE_JOB = "until it is done, a key has at most one job that is not over"
ONCE = "what a call wrote is the argument of one job's run at most"
SEEN = "what a call wrote is seen by a run that starts after its commit"

ABSENT, WAITS, RUNS, OVER = "absent", "waits", "runs", "over"
IDLE, BEGUN, LOCKED, LOOKED, ENDED = "idle", "begun", "locked", "looked", "ended"
NOBODY = 0


class Job(Value, frozen=True):
    """A job: its row, its copy in the lane, and the worker's hand."""

    state: str = ABSENT
    data: int = 0  # the call whose arguments it has
    locked: int = NOBODY  # the producer that holds its row
    carried: int = 0  # the arguments of its copy in the lane or in the worker's hand
    taken: bool = False
    unknown_start: bool = False  # it runs, and the ledger does not know


class Call(Value, frozen=True):
    """A producer's call."""

    step: str = IDLE
    saw: str = ABSENT  # the holder's state as it was when the statement began
    answer: int = 0
    again: bool = False  # it has replaced the holder's arguments before
    sendings: int = 1
    named: int = 0  # ghost: the job that its last commit was answered with
    since: int = 0  # ghost: the place of its last write in the order of commits
    ran: int = 0  # ghost: the job that ran with its arguments
    twice: bool = False  # ghost: another one ran with them, too
    unseen: bool = False  # ghost: no run has started since its commit that sees what it wrote


class State(Value, frozen=True):
    """Everything."""

    jobs: tuple[Job, ...]
    calls: tuple[Call, ...]
    holder: int = 0
    locked: int = NOBODY
    replaced_by: int = 0
    spent: int = 0  # the holder that the keeper found to be over
    prunes: int = 1
    commits: int = 0

    def job(self, number: int, **changes: object) -> "State":
        """Return the state with that job changed."""
        return self._replace(
            jobs=_put(self.jobs, number, self.jobs[number - 1]._replace(**changes))
        )

    def call(self, number: int, **changes: object) -> "State":
        """Return the state with that call changed."""
        return self._replace(
            calls=_put(self.calls, number, self.calls[number - 1]._replace(**changes))
        )


def _put(values: tuple[Value, ...], number: int, value: Value) -> tuple[Value, ...]:
    return (*values[: number - 1], value, *values[number:])


@dataclass(frozen=True, slots=True)
class UniqueTwin:
    """What a broken twin does wrong."""

    looks_before_the_lock: bool = False
    answers_without_the_job: bool = False
    repeats_as_if_new: bool = False
    replaces_again: bool = False
    starts_unclaimed: bool = False
    runs_the_lanes_copy: bool = False
    claims_what_is_locked: bool = False
    prunes_whatever_is_there: bool = False


@dataclass(frozen=True, slots=True)
class Unique:
    """The protocol, for keys that hold until "done" or until "started"."""

    until: str
    replaces: bool = False
    producers: int = 2
    sendings: int = 1
    twin: UniqueTwin = UniqueTwin()

    def initial(self) -> State:
        """Nothing was called."""
        calls = tuple(Call(sendings=self.sendings) for _ in range(self.producers))
        return State(jobs=(Job(),) * self.producers, calls=calls)

    def steps(self, state: State) -> Iterator[Step[State]]:
        """What may happen next."""
        for number, call in enumerate(state.calls, 1):
            yield from self._produce(state, number, call)
        for number, job in enumerate(state.jobs, 1):
            yield from self._work(state, number, job)
        yield from self._prune(state)

    def _produce(self, state: State, me: int, call: Call) -> Iterator[Step[State]]:
        who = f"producer {me}"
        if call.step == IDLE and call.sendings:
            saw = state.jobs[state.holder - 1].state if state.holder else ABSENT
            begun = state.call(me, step=BEGUN, saw=saw if self.twin.looks_before_the_lock else "")
            yield Step("insert_jobs", who, begun)
        if call.step == BEGUN and state.locked == NOBODY:
            mine = state.holder in (0, me)
            after = state._replace(locked=me)
            locked = after.call(me, step=LOOKED if mine else LOCKED, answer=me if mine else 0)
            yield Step("take_key", who, locked)
        if call.step == LOCKED:
            yield from self._look(state, me, call, who)
        if call.step == LOOKED:
            yield Step("commit", who, self._commit(state, me, call), "and the reply")
            if call.sendings > 1:
                lost = self._commit(state, me, call).call(
                    me, step=IDLE, sendings=call.sendings - 1, answer=0
                )
                yield Step("commit", who, lost, "the reply is lost", fault=True)
            gone = self._free(state, me).call(me, step=ENDED)
            yield Step("rollback", who, gone, fault=True)

    def _look(self, state: State, me: int, call: Call, who: str) -> Iterator[Step[State]]:
        if state.jobs[me - 1].state != ABSENT and not self.twin.repeats_as_if_new:
            yield Step("take_key", who, state.call(me, step=LOOKED, answer=me), "a repetition")
            return
        if state.replaced_by == me and not self.twin.replaces_again:
            known = state.call(me, step=LOOKED, answer=state.holder, again=True)
            yield Step("take_key", who, known, "a repetition")
            return
        holder = state.jobs[state.holder - 1]
        seen = call.saw if self.twin.looks_before_the_lock else holder.state
        if seen not in ((WAITS, RUNS) if self.until == "done" else (WAITS,)):
            yield Step("take_key", who, state.call(me, step=LOOKED, answer=me), "takes it over")
            return
        held = state.call(me, step=LOOKED, answer=state.holder)
        if self.until == "done" or self.twin.answers_without_the_job:
            yield Step("take_key", who, held, "is answered")
        elif holder.locked == NOBODY:
            yield Step("take_key", who, held.job(state.holder, locked=me), "is answered")

    def _free(self, state: State, me: int) -> State:
        jobs = tuple(job._replace(locked=NOBODY) if job.locked == me else job for job in state.jobs)
        return state._replace(jobs=jobs, locked=NOBODY)

    def _commit(self, state: State, me: int, call: Call) -> State:
        after = self._free(state, me)._replace(commits=state.commits + 1)
        if call.again:
            return after.call(me, step=ENDED)
        repeated = after.jobs[me - 1].state != ABSENT
        # What was a job of its own already is no later for being sent again.
        fresh = call.since if repeated else after.commits
        wrote = after.call(me, step=ENDED, named=call.answer, since=fresh, unseen=True)
        if call.answer != me:
            if not self.replaces:
                return wrote
            return wrote._replace(replaced_by=me).job(call.answer, data=me)
        if repeated:
            return after.call(me, step=ENDED)
        return wrote._replace(holder=me).job(me, state=WAITS, data=me)

    def _work(self, state: State, number: int, job: Job) -> Iterator[Step[State]]:
        if job.state == WAITS and not job.carried and not job.unknown_start:
            yield Step("put", "relay", state.job(number, carried=job.data))
        if job.carried and not job.taken:
            yield Step("take", "worker", state.job(number, taken=True))
        if job.taken:
            yield from self._start(state, number, job)
        if job.state == RUNS or job.unknown_start:
            over = state.job(number, state=OVER, unknown_start=False, carried=0)
            yield Step("settle", "worker", over)

    def _start(self, state: State, number: int, job: Job) -> Iterator[Step[State]]:
        given_up = state.job(number, taken=False, carried=0)
        if self.twin.starts_unclaimed:
            started = given_up.job(number, unknown_start=True)
            yield Step("start", "worker", self._saw(started, number, job.carried))
        elif job.state != WAITS:
            yield Step("claim_known", "worker", given_up, "stale")
        elif job.locked != NOBODY and not self.twin.claims_what_is_locked:
            yield Step("claim_known", "worker", state.job(number, taken=False), "kept")
        else:
            data = job.carried if self.twin.runs_the_lanes_copy else job.data
            started = given_up.job(number, state=RUNS)
            yield Step("claim_known", "worker", self._saw(started, number, data))

    def _saw(self, state: State, number: int, data: int) -> State:
        """A run starts: it sees what was committed, with these arguments."""
        since, ran = state.calls[data - 1].since, state.calls[data - 1].ran
        state = state.call(data, ran=number, twice=ran not in (0, number))
        calls = tuple(
            call._replace(unseen=False)
            if call.named == number and (not self.replaces or call.since <= since)
            else call
            for call in state.calls
        )
        return state._replace(calls=calls)

    def _prune(self, state: State) -> Iterator[Step[State]]:
        # A day later: by then nobody repeats what was committed.
        repeating = any(call.named and call.step != ENDED for call in state.calls)
        over = state.holder and state.jobs[state.holder - 1].state == OVER
        if state.prunes and over and not repeating:
            found = state._replace(spent=state.holder, prunes=state.prunes - 1)
            yield Step("prune_spent_keys", "keeper", found, "looks")
        if state.spent and state.locked == NOBODY:
            same = state.spent == state.holder or self.twin.prunes_whatever_is_there
            pruned = state._replace(spent=0, holder=0 if same else state.holder)
            yield Step("prune_spent_keys", "keeper", pruned, "deletes")

    def broken(self, before: State, step: Step[State]) -> Iterator[str]:  # noqa: ARG002 - as in Model
        """The properties that a step breaks."""
        after = step.state
        if any(call.twice for call in after.calls):
            yield ONCE
        alive = [job for job in after.jobs if job.state in (WAITS, RUNS)]
        if self.until == "done" and len(alive) > 1:
            yield ONE_JOB
        if (
            self.until == "started"
            and not alive
            and not any(job.unknown_start for job in after.jobs)
            and all(call.step == ENDED for call in after.calls)
            and any(call.unseen for call in after.calls)
        ):
            yield SEEN

    def finished(self, state: State) -> bool:
        """Return whether every call has its answer and every job is over."""
        return all(call.step == ENDED for call in state.calls) and all(
            job.state in (ABSENT, OVER) and not job.carried for job in state.jobs
        )
