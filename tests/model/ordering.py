"""Jobs of one ordering key: producers, a worker, operators, and `unblock`, which passes the turn.

Each producer inserts one job; its number is not its place: that is the order in which the key's row
is locked. What a transaction writes becomes visible at its commit; until then it has the key.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from model.explorer import Step
from model.values import Value

ONE_IN_FLIGHT = "at most one job of a key may run"
IN_ORDER = "no job may run before one that came before it"

ABSENT, BLOCKED, LIVE, DEAD, OVER = "absent", "blocked", "live", "dead", "over"
IDLE, BEGUN, LOCKED, ENDED = "idle", "begun", "locked", "ended"
NOBODY, RELEASER, REPLAYER = 0, 91, 92


class Job(Value, frozen=True):
    """A job: its row, and its place in the line."""

    state: str = ABSENT
    seq: int = 0
    placed: bool = False
    came_again: bool = False


class Call(Value, frozen=True):
    """A producer's transaction."""

    step: str = IDLE
    saw: int = 0  # whose turn it was as its statement began
    blocked: bool = False
    seq: int = 0


class Look(Value, frozen=True):
    """A call of `unblock`."""

    step: int = 0
    marks: frozenset[tuple[int, int]] = frozenset()
    ended: frozenset[int] = frozenset()
    comers: frozenset[int] = frozenset()
    saw: frozenset[int] = frozenset()  # the places as they were when it began
    has_key: bool = False
    left: frozenset[int] = frozenset()
    gone: frozenset[int] = frozenset()
    turn: int = 0
    free: frozenset[int] = frozenset()


class State(Value, frozen=True):
    """Everything."""

    jobs: tuple[Job, ...]
    calls: tuple[Call, ...]
    turn: int = 0
    locked: int = NOBODY
    wake: frozenset[tuple[int, int]] = frozenset()  # jobs, each with the number of its mark
    seq: int = 0
    look: Look = Look()
    replaying: int = 0
    deaths: int = 1
    cancels: int = 1
    replays: int = 1

    def job(self, number: int, **changes: object) -> "State":
        """Return the state with that job changed."""
        jobs = list(self.jobs)
        jobs[number - 1] = jobs[number - 1]._replace(**changes)
        return self._replace(jobs=tuple(jobs))

    def call(self, number: int, **changes: object) -> "State":
        """Return the state with that call changed."""
        calls = list(self.calls)
        calls[number - 1] = calls[number - 1]._replace(**changes)
        return self._replace(calls=tuple(calls))

    def woken(self, number: int) -> "State":
        """Return the state with a mark more."""
        known = [n for job, n in self.wake | self.look.marks if job == number]
        return self._replace(wake=self.wake | {(number, max(known, default=0) + 1)})

    @property
    def places(self) -> frozenset[int]:
        """The jobs that have one."""
        return frozenset(n for n, job in enumerate(self.jobs, 1) if job.placed)


@dataclass(frozen=True, slots=True)
class OrderingTwin:
    """What a broken twin does wrong."""

    decides_before_the_lock: bool = False
    passes_without_the_lock: bool = False
    leaves_though_replayed: bool = False
    forgets_what_is_locked: bool = False
    forgets_what_came_later: bool = False
    replays_at_once: bool = False


@dataclass(frozen=True, slots=True)
class Ordering:
    """The protocol; a dead job keeps its place if `kept`."""

    kept: bool
    producers: int = 2
    faults: int = 1
    twin: OrderingTwin = OrderingTwin()

    def initial(self) -> State:
        """Nothing was called."""
        return State(
            jobs=(Job(),) * self.producers,
            calls=(Call(),) * self.producers,
            deaths=self.faults,
            cancels=self.faults,
            replays=self.faults,
        )

    def steps(self, state: State) -> Iterator[Step[State]]:
        """What may happen next."""
        for number, call in enumerate(state.calls, 1):
            yield from self._produce(state, number, call)
        for number, job in enumerate(state.jobs, 1):
            yield from self._work(state, number, job)
        yield from self._unblock(state)

    def _produce(self, state: State, me: int, call: Call) -> Iterator[Step[State]]:
        who = f"producer {me}"
        if call.step == IDLE:
            saw = state.turn if self.twin.decides_before_the_lock else 0
            yield Step("put_linked_jobs", who, state.call(me, step=BEGUN, saw=saw), "begins")
        if call.step == BEGUN and state.locked == NOBODY:
            turn = call.saw if self.twin.decides_before_the_lock else state.turn
            seq = state.seq + 1
            locked = state._replace(locked=me, seq=seq)
            has = locked.call(me, step=LOCKED, blocked=turn != 0, seq=seq)
            yield Step("put_linked_jobs", who, has, "locks the key")
        if call.step == LOCKED:
            ended = state.call(me, step=ENDED, saw=0)._replace(locked=NOBODY)
            put = ended.job(me, state=BLOCKED if call.blocked else LIVE, seq=call.seq, placed=True)
            yield Step("commit", who, put._replace(turn=state.turn or me))
            yield Step("rollback", who, ended, fault=True)

    def _work(self, state: State, number: int, job: Job) -> Iterator[Step[State]]:
        if job.state == LIVE:
            yield Step("settle", "worker", state.job(number, state=OVER).woken(number), "completed")
            if state.deaths:
                dead = state.job(number, state=DEAD).woken(number)
                yield Step("settle", "worker", dead._replace(deaths=0), "dead", fault=True)
        if job.state in (BLOCKED, LIVE) and state.cancels:
            over = state.job(number, state=OVER).woken(number)
            yield Step("cancel", "operator", over._replace(cancels=0), fault=True)
        # A dead job that keeps its place keeps all others: somebody replays it, in the end.
        if job.state == DEAD and state.replays and state.locked == NOBODY:
            begun = state._replace(locked=REPLAYER, replaying=number, replays=0)
            yield Step("replay", "operator", begun, "locks the key", fault=not self.kept)
        if state.replaying == number:
            after = state._replace(locked=NOBODY, replaying=0, turn=state.turn or number)
            here = LIVE if self.twin.replays_at_once else BLOCKED
            back = after.job(number, state=here, placed=True, came_again=True)
            yield Step("replay", "operator", back.woken(number), "commits")

    def _unblock(self, state: State) -> Iterator[Step[State]]:
        look = state.look
        do = _LOOKS[look.step]
        if look.step or state.wake:
            for after, note in do(self, state, look):
                yield Step("unblock", "releaser", after, note)
        if look.step:
            free = NOBODY if state.locked == RELEASER else state.locked
            yield Step(
                "unblock", "releaser", state._replace(look=Look(), locked=free), "dies", True
            )

    def take(self, state: State, _: Look) -> Iterator[tuple[State, str]]:
        """Which jobs are to be looked at."""
        saw = state.places if self.twin.passes_without_the_lock else frozenset[int]()
        yield state._replace(look=Look(step=1, marks=state.wake, saw=saw)), "begins"

    def read(self, state: State, look: Look) -> Iterator[tuple[State, str]]:
        """How they are now."""
        woken = {number for number, _ in look.marks}
        ended = frozenset(n for n in woken if state.jobs[n - 1].state in (DEAD, OVER))
        comers = frozenset(n for n in woken if state.jobs[n - 1].state == BLOCKED)
        yield state._replace(look=look._replace(step=2, ended=ended, comers=comers)), "reads"

    def lock(self, state: State, look: Look) -> Iterator[tuple[State, str]]:
        """The key, unless somebody has it."""
        members = look.ended & state.places
        if members and state.locked == NOBODY:
            has = look._replace(step=3, has_key=True)
            yield state._replace(locked=RELEASER, look=has), "locks the key"
        else:
            left = frozenset[int]() if self.twin.forgets_what_is_locked else members
            yield state._replace(look=look._replace(step=3, left=left)), "cannot have the key"

    def leave(self, state: State, look: Look) -> Iterator[tuple[State, str]]:
        """Who is over leaves; the first of those that are left has the turn."""
        gone: set[int] = set()
        turn = state.turn
        if look.has_key:
            for n in look.ended & state.places:
                job = state.jobs[n - 1]
                over = job.state in (DEAD, OVER) or self.twin.leaves_though_replayed
                if over and not (job.state == DEAD and self.kept):
                    gone.add(n)
            places = (look.saw if self.twin.passes_without_the_lock else state.places) - gone
            if turn not in places:
                turn = min(places, key=lambda n: state.jobs[n - 1].seq, default=0)
        after = look._replace(step=4, gone=frozenset(gone), turn=turn)
        yield state._replace(look=after), "passes the turn"

    def free(self, state: State, look: Look) -> Iterator[tuple[State, str]]:
        """Those whose turn it is may run."""
        turn = look.turn if look.has_key else state.turn
        wanted = look.comers | ({turn} if look.has_key and turn != state.turn else set())
        free = {n for n in wanted if n and state.jobs[n - 1].state == BLOCKED and turn in (n, 0)}
        yield state._replace(look=look._replace(step=5, free=frozenset(free))), "locks the job"

    def commit(self, state: State, look: Look) -> Iterator[tuple[State, str]]:
        """All of it at once."""
        after = state._replace(look=Look())
        if look.has_key:
            after = after._replace(locked=NOBODY, turn=look.turn)
        for n in look.gone:
            after = after.job(n, placed=False)
        for n in look.free:
            if state.jobs[n - 1].state == BLOCKED:
                after = after.job(n, state=LIVE)
        seen = look.marks
        if self.twin.forgets_what_came_later:
            looked = {number for number, _ in look.marks}
            seen = frozenset(mark for mark in state.wake if mark[0] in looked)
        after = after._replace(wake=after.wake - seen)
        for n in look.left:
            after = after.woken(n)
        yield after, "commits"

    def broken(self, before: State, step: Step[State]) -> Iterator[str]:
        """The properties that a step breaks."""
        after = step.state
        live = [n for n, job in enumerate(after.jobs, 1) if job.state == LIVE]
        if len(live) > 1:
            yield ONE_IN_FLIGHT
        for n in live:
            begun = before.jobs[n - 1].state != LIVE and not after.jobs[n - 1].came_again
            if begun and any(
                job.state == BLOCKED and not job.came_again and job.seq < after.jobs[n - 1].seq
                for job in after.jobs
            ):
                yield IN_ORDER

    def finished(self, state: State) -> bool:
        """Return whether all are over and nothing is left to be looked at."""
        return (
            all(call.step == ENDED for call in state.calls)
            and all(job.state in (ABSENT, OVER, DEAD) for job in state.jobs)
            and not state.wake
            and not (state.turn if not self.kept else 0)
        )


_LOOKS = (
    Ordering.take,
    Ordering.read,
    Ordering.lock,
    Ordering.leave,
    Ordering.free,
    Ordering.commit,
)
