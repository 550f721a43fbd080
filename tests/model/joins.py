"""A join and those before it: workers that settle twice, one that adds a job, operators, `unblock`.

The join waits for jobs 1 and 2. Job 1 puts another one before it while it runs. Job 2 comes from
elsewhere: nobody waited for it when it was inserted, and it may end while the join is. What a
transaction writes becomes visible at its commit. A flow that failed may be retried: what is dead of
it comes again, and the join with it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from model.explorer import Step
from model.values import Value

ONCE = "a join is let go once"
STAYS_OVER = "a join that was cancelled stays so"
NOT_BEFORE = "a join runs when all before it are over, and have passed"
ENDS_BY_FAILURE = "a join does not run where a job before it failed, if that fails it"
FAILS_WITH_THE_DEAD = "a join does not fail with a job of its flow that has come again"

ABSENT, BLOCKED, LIVE, DONE, DEAD, CANCELLED = (
    "absent",
    "blocked",
    "live",
    "done",
    "dead",
    "cancelled",
)
IDLE, LOCKED, ENDED = "idle", "locked", "ended"
FIRST, OTHER, ADDED, JOIN = 1, 2, 3, 4
OVER = (DONE, DEAD, CANCELLED)


class Look(Value, frozen=True):
    """A call of `unblock`."""

    step: int = 0
    marks: frozenset[tuple[int, int]] = frozenset()
    ended: frozenset[int] = frozenset()
    has_join: bool = False
    passing: frozenset[int] = frozenset()
    failing: frozenset[int] = frozenset()
    free: bool = False
    left: frozenset[int] = frozenset()


class State(Value, frozen=True):
    """Everything."""

    jobs: tuple[str, ...] = (LIVE, LIVE, ABSENT, ABSENT)
    linked: bool = False  # job 2 wakes `unblock` when it ends
    edges: frozenset[int] = frozenset()  # those before the join
    decided: frozenset[int] = frozenset()
    pending: int = 0
    row: bool = False  # the join's row of blocked jobs
    wake: frozenset[tuple[int, int]] = frozenset()
    inserting: str = IDLE
    adding: str = IDLE
    shared: bool = False  # the adder holds the join's row
    held: bool = False  # unblock holds it
    look: Look = Look()
    runs: int = 0  # how often the join was let go
    early: bool = False
    stale: bool = False
    faults: int = 2  # how much may yet go wrong
    replays: int = 2
    retries: int = 0

    def job(self, number: int, state: str) -> "State":
        """Return the state with that job changed."""
        return self._replace(jobs=(*self.jobs[: number - 1], state, *self.jobs[number:]))

    def woken(self, number: int) -> "State":
        """Return the state with a mark more."""
        known = [n for job, n in self.wake | self.look.marks if job == number]
        return self._replace(wake=self.wake | {(number, max(known, default=0) + 1)})


@dataclass(frozen=True, slots=True)
class JoinsTwin:
    """What a broken twin does wrong."""

    waits_unseen: bool = False
    adds_without_the_lock: bool = False
    trusts_the_count: bool = False
    forgets_what_is_locked: bool = False
    forgets_what_came_later: bool = False
    lets_go_what_is_over: bool = False
    keeps_what_failed: bool = False
    retries_beside_a_look: bool = False


@dataclass(frozen=True, slots=True)
class Joins:
    """The protocol, where a failure before the join means `on_failure`.

    Job 1 adds another one, or the flow may be retried `retries` times: both at once are too many.
    """

    on_failure: str
    faults: int = 2
    retries: int = 0
    twin: JoinsTwin = JoinsTwin()

    def initial(self) -> State:
        """Two jobs run."""
        adding = ENDED if self.retries else IDLE
        return State(faults=self.faults, retries=self.retries, adding=adding)

    def steps(self, state: State) -> Iterator[Step[State]]:
        """What may happen next."""
        yield from self._insert(state)
        yield from self._add(state)
        yield from self._work(state)
        yield from self._retry(state)
        yield from self._unblock(state, state.look)

    def _insert(self, state: State) -> Iterator[Step[State]]:
        """The join: job 1 is inserted with it, as one flow."""
        if state.inserting == IDLE:
            # Job 1 starts only once this is committed; its model begins there.
            put = state._replace(
                inserting=ENDED, edges=frozenset({FIRST, OTHER}), pending=2, row=True
            ).job(JOIN, BLOCKED)
            yield Step("put_linked_jobs", "producer", put.woken(OTHER))

    def _add(self, state: State) -> Iterator[Step[State]]:
        """Job 1 adds one more, in a transaction of its own, before it ends."""
        runs = state.inserting == ENDED and state.jobs[FIRST - 1] == LIVE
        if state.adding == IDLE and runs:
            free = state.row and not state.held
            if self.twin.adds_without_the_lock and state.row:
                yield Step("put_linked_jobs", "job 1", state._replace(adding=LOCKED))
            elif free:
                locked = state._replace(adding=LOCKED, shared=True)
                yield Step("put_linked_jobs", "job 1", locked, "locks the join")
        if state.adding == LOCKED:
            ended = state._replace(adding=ENDED, shared=False)
            if state.faults:
                yield Step("rollback", "job 1", ended._replace(faults=state.faults - 1), fault=True)
            if state.row or not self.twin.adds_without_the_lock:
                added = ended._replace(edges=state.edges | {ADDED}).job(ADDED, LIVE)
                yield Step("commit", "job 1", added)

    def _end(self, state: State, number: int, how: str) -> State:
        after = state.job(number, how)
        wakes = number != OTHER or state.linked
        return after.woken(number) if wakes else after

    def _work(self, state: State) -> Iterator[Step[State]]:
        for number in (FIRST, OTHER, ADDED):
            # A zombie's job is over while it adds: only the lock of the join can help.
            if state.jobs[number - 1] != LIVE or (number == FIRST and state.inserting != ENDED):
                continue
            yield Step("settle", "worker", self._end(state, number, DONE))
            if state.faults:
                dead = self._end(state, number, DEAD)._replace(faults=state.faults - 1)
                yield Step("settle", "worker", dead, "dead", fault=True)
        for number in (FIRST, ADDED):
            if state.jobs[number - 1] in OVER and state.faults:
                told = state.woken(number)._replace(faults=state.faults - 1)
                yield Step("wake", "anybody", told, "tells again", fault=True)
        alone = not state.linked and state.jobs[OTHER - 1] == DEAD  # who looks knows nothing of it
        lost = [n for n in (FIRST, OTHER, ADDED) if state.jobs[n - 1] == DEAD]
        if lost and state.replays and (not state.look.step or (alone and lost == [OTHER])):
            back = state.job(lost[0], LIVE)._replace(replays=state.replays - 1)
            yield Step("replay", "operator", back, fault=self.on_failure != "wait")
        locked = state.look.free or bool(state.look.failing)
        if state.jobs[JOIN - 1] == BLOCKED and state.faults and not locked:
            over = state.job(JOIN, CANCELLED).woken(JOIN)._replace(faults=state.faults - 1)
            yield Step("cancel", "operator", over, fault=True)
        if state.jobs[JOIN - 1] == LIVE:
            yield Step("settle", "worker", state.job(JOIN, DONE), "the join")

    def _retry(self, state: State) -> Iterator[Step[State]]:
        """The join was cancelled; job 2 is not of its flow."""
        free = not state.look.step or self.twin.retries_beside_a_look
        if state.jobs[JOIN - 1] == CANCELLED and state.retries and free:
            after = state._replace(retries=state.retries - 1, row=True, pending=0)
            if not self.twin.keeps_what_failed:
                done = frozenset(n for n in state.decided if state.jobs[n - 1] == DONE)
                after = after._replace(decided=done)
            for n in (FIRST, ADDED):
                if state.jobs[n - 1] == DEAD:
                    after = after.job(n, LIVE)
            yield Step("revive", "operator", after.job(JOIN, BLOCKED).woken(JOIN), fault=True)

    def _unblock(self, state: State, look: Look) -> Iterator[Step[State]]:
        if look.step or state.wake:
            after, note = _LOOKS[look.step](self, state, look)
            yield Step("unblock", "releaser", after, note)
        if look.step and state.faults:
            dies = state._replace(look=Look(), held=False, faults=state.faults - 1)
            yield Step("unblock", "releaser", dies, "dies", fault=True)

    def take(self, state: State, _: Look) -> tuple[State, str]:
        """Which jobs are to be looked at."""
        return state._replace(look=Look(step=1, marks=state.wake)), "begins"

    def link(self, state: State, look: Look) -> tuple[State, str]:
        """Who is waited for shall tell of its end; who is over has ended."""
        woken = {number for number, _ in look.marks}
        linked = state.linked or (OTHER in woken and not self.twin.waits_unseen)
        ended = frozenset(n for n in woken if state.jobs[n - 1] in OVER)
        return state._replace(linked=linked, look=look._replace(step=2, ended=ended)), "reads"

    def lock(self, state: State, look: Look) -> tuple[State, str]:
        """The join's row, unless somebody has it."""
        wanted = state.row and (
            look.ended & state.edges - state.decided or self._comes(state, look)
        )
        free = not state.shared and not state.held
        if wanted and free:
            has = look._replace(step=3, has_join=True)
            return state._replace(held=True, look=has), "locks the join"
        left = frozenset[int]()
        if wanted and not self.twin.forgets_what_is_locked:
            left = look.ended & state.edges - state.decided
            left |= {JOIN} if self._comes(state, look) else set()
        return state._replace(look=look._replace(step=3, left=left)), "has no join"

    def _comes(self, state: State, look: Look) -> bool:
        return state.jobs[JOIN - 1] == BLOCKED and any(n == JOIN for n, _ in look.marks)

    def judge(self, state: State, look: Look) -> tuple[State, str]:
        """Which edges pass, and whether one fails the join."""
        passing, failing = set[int](), set[int]()
        seen = state.edges if self._comes(state, look) else look.ended & state.edges
        for n in seen - state.decided if look.has_join else ():
            now = state.jobs[n - 1]
            if now == DONE or (self.on_failure == "ignore" and now in OVER):
                passing.add(n)
            elif now in OVER and not (self.on_failure == "wait" and now == DEAD):
                failing.add(n)
        left = state.edges - state.decided - passing
        pending = max(state.pending - len(passing), 0)
        free = look.has_join and not failing and pending == 0
        if not self.twin.trusts_the_count:
            free = free and not left
        free = free and (state.jobs[JOIN - 1] == BLOCKED or self.twin.lets_go_what_is_over)
        judged = look._replace(
            step=4, passing=frozenset(passing), failing=frozenset(failing), free=free
        )
        return state._replace(look=judged), "judges"

    def commit(self, state: State, look: Look) -> tuple[State, str]:
        """All of it at once."""
        after = state._replace(look=Look())
        if look.has_join:
            decided = state.decided | look.passing
            pending = max(state.pending - len(look.passing), 0)
            if pending == 0 and not self.twin.trusts_the_count:
                pending = len(state.edges - decided)
            after = after._replace(held=False, decided=decided, pending=pending)
        if look.failing and state.jobs[JOIN - 1] == BLOCKED:
            stale = any(n != OTHER and state.jobs[n - 1] not in OVER for n in look.failing)
            after = after._replace(decided=after.decided | look.failing, row=False, stale=stale)
            after = after.job(JOIN, CANCELLED).woken(JOIN)
        if look.free:
            open_yet = state.edges - state.decided - look.passing
            early = any(state.jobs[n - 1] not in OVER for n in open_yet)
            after = after.job(JOIN, LIVE)._replace(row=False, runs=state.runs + 1, early=early)
        if JOIN in look.ended and state.jobs[JOIN - 1] in OVER:
            after = after._replace(row=False)
        seen = look.marks
        if self.twin.forgets_what_came_later:
            looked = {number for number, _ in look.marks}
            seen = frozenset(mark for mark in state.wake if mark[0] in looked)
        after = after._replace(wake=after.wake - seen)
        for n in look.left:
            after = after.woken(n)
        return after, "commits"

    def broken(self, before: State, step: Step[State]) -> Iterator[str]:
        """The properties that a step breaks."""
        after = step.state
        if after.runs > 1:
            yield ONCE
        if before.jobs[JOIN - 1] in OVER and after.jobs[JOIN - 1] == LIVE:
            yield STAYS_OVER
        if after.early and not before.early:
            yield NOT_BEFORE
        if after.stale and not before.stale:
            yield FAILS_WITH_THE_DEAD
        if self.on_failure == "fail" and after.runs > before.runs:
            passed = after.edges <= {n for n in after.edges if after.jobs[n - 1] == DONE}
            if not passed and not after.early:
                yield ENDS_BY_FAILURE

    def finished(self, state: State) -> bool:
        """Return whether all are over and nothing is left to be looked at."""
        return (
            state.inserting == ENDED
            and all(job in (ABSENT, *OVER) for job in state.jobs)
            and not state.wake
            and not state.row
        )


_LOOKS = (Joins.take, Joins.link, Joins.lock, Joins.judge, Joins.commit)
