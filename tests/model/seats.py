"""Jobs of a line: producers, a worker, operators, and `seat_jobs`, which alone gives seats.

What a call of `seat_jobs` writes becomes visible at its commit; until then it has the lock, and the
rows of the jobs that it lets go. Two calls may be under way, of which one waits for the lock.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from model.explorer import Step
from model.values import Value

AS_WIDE_AS_SAID = "no more jobs of a line may be live than it has seats"
NOT_DUE_NO_SEAT = "a job that waits for its time holds no seat"

ABSENT, BLOCKED, LIVE, DEAD, OVER = "absent", "blocked", "live", "dead", "over"
UNSEEN, LATER, STANDS, SEATED = -1, 0, 1, 2
NOBODY = -1


class Job(Value, frozen=True):
    """A job: its row, and its phase, if it has a row among the seats."""

    state: str = ABSENT
    due: bool = True
    phase: int | None = None
    held: bool = False  # somebody else has its row


class Look(Value, frozen=True):
    """A call of `seat_jobs`."""

    step: int = 0
    marks: frozenset[tuple[int, int]] = frozenset()
    phases: tuple[int | None, ...] = ()
    freed: int = 0
    chosen: frozenset[int] = frozenset()
    passed: frozenset[int] = frozenset()


class State(Value, frozen=True):
    """Everything."""

    jobs: tuple[Job, ...]
    taken: int = 0
    marks: frozenset[tuple[int, int]] = frozenset()  # jobs, each with the number of its mark
    looks: tuple[Look, ...] = (Look(),)
    locked: int = NOBODY
    paused: bool = False
    faults: int = 0  # how many may still happen, of all kinds

    def job(self, number: int, **changes: object) -> "State":
        """Return the state with that job changed."""
        jobs = list(self.jobs)
        jobs[number] = jobs[number]._replace(**changes)
        return self._replace(jobs=tuple(jobs))

    def look(self, number: int, look: Look) -> "State":
        """Return the state with that call changed."""
        looks = list(self.looks)
        looks[number] = look
        return self._replace(looks=tuple(looks))

    def marked(self, number: int) -> "State":
        """Return the state with a mark that nobody has seen; a second one would tell no more."""
        seen = frozenset[tuple[int, int]]().union(*(look.marks for look in self.looks))
        if any(job == number for job, _ in self.marks - seen):
            return self
        free = min(set(range(9)) - {n for job, n in self.marks | seen if job == number})
        return self._replace(marks=self.marks | {(number, free)})

    @property
    def spent(self) -> "State":
        """The state with a fault less to come."""
        return self._replace(faults=self.faults - 1)


@dataclass(frozen=True, slots=True)
class SeatsTwin:
    """What a broken twin does wrong."""

    seats_side_by_side: bool = False
    trusts_the_mark: bool = False
    forgets_what_came_later: bool = False
    forgets_what_is_locked: bool = False
    keeps_its_seat: bool = False
    stirs_beside_a_look: bool = False


@dataclass(frozen=True, slots=True)
class Seats:
    """The protocol, with a line of one seat and so many producers of a job each."""

    producers: int = 2
    faults: int = 2
    twin: SeatsTwin = SeatsTwin()

    def initial(self) -> State:
        """Nothing was inserted."""
        looks = (Look(),) * (
            2 if self.twin.seats_side_by_side else 1
        )  # else one waits for the lock
        return State(jobs=(Job(),) * self.producers, looks=looks, faults=self.faults)

    def steps(self, state: State) -> Iterator[Step[State]]:
        """What may happen next."""
        for number, job in enumerate(state.jobs):
            yield from self._insert(state, number, job)
            yield from self._work(state, number, job)
            yield from self._operate(state, number, job)
        yield from self._pause(state)
        for number, look in enumerate(state.looks):
            yield from self._seat(state, number, look)

    def _insert(self, state: State, me: int, job: Job) -> Iterator[Step[State]]:
        if job.state == ABSENT:
            put = state.job(me, state=BLOCKED, phase=STANDS).marked(me)
            yield Step("put_linked_jobs", f"producer {me}", put, "commits")

    def _work(self, state: State, me: int, job: Job) -> Iterator[Step[State]]:
        if job.state != LIVE or not job.due:
            return
        yield Step("settle", "worker", state.job(me, state=OVER).marked(me), "completed")
        if state.faults:
            dead = state.spent.job(me, state=DEAD).marked(me)
            yield Step("settle", "worker", dead, "dead", fault=True)
            if self.twin.keeps_its_seat:
                put_off = state.spent.job(me, due=False)
            else:
                put_off = state.spent.job(me, state=BLOCKED, due=False).marked(me)
            yield Step("settle", "worker", put_off, "is put off", fault=True)

    def _operate(self, state: State, me: int, job: Job) -> Iterator[Step[State]]:
        if not job.due:
            yield Step("clock", "time", state.job(me, due=True), "it is due")
        if any(me in look.chosen for look in state.looks):
            return  # its row is locked
        if job.held:
            yield Step("commit", "producer", state.job(me, held=False))
        if not state.faults:
            return
        if job.state in (BLOCKED, LIVE):
            yield Step("cancel", "operator", state.spent.job(me, state=OVER).marked(me), fault=True)
        if job.state == DEAD:
            again = state.spent.job(me, state=BLOCKED).marked(me)
            yield Step("revive", "operator", again, fault=True)
        if job.state == BLOCKED:
            yield Step("reprioritise", "operator", state.spent.marked(me), fault=True)
            held = state.spent.job(me, held=True)
            yield Step("take_key", "producer", held, "holds the job", fault=True)

    def _pause(self, state: State) -> Iterator[Step[State]]:
        if not state.paused and state.faults:
            yield Step("pause", "operator", state.spent._replace(paused=True), fault=True)
        if state.paused and (state.locked == NOBODY or self.twin.stirs_beside_a_look):
            after = state._replace(paused=False)
            for number, job in enumerate(state.jobs):
                if job.phase == STANDS:
                    after = after.marked(number)
            yield Step("stir_lines", "operator", after, "goes on")

    def _seat(self, state: State, me: int, look: Look) -> Iterator[Step[State]]:
        who = f"releaser {me}"
        if look.step == 0:
            due = any(job.phase == LATER and job.due for job in state.jobs)
            alone = state.locked == NOBODY or self.twin.seats_side_by_side
            if (state.marks or due) and alone:
                begun = state.look(me, Look(step=1, marks=state.marks))._replace(locked=me)
                yield Step("seat_jobs", who, begun, "locks, reads the marks")
            return
        if state.faults:
            yield Step("seat_jobs", who, self._unlocked(state.spent, me), "dies", fault=True)
        if look.step == 1:
            yield Step("seat_jobs", who, state.look(me, self.see(state, look)), "looks")
        if look.step == 2:
            yield Step("seat_jobs", who, state.look(me, self.choose(state, look)), "chooses")
        if look.step == 3:
            yield Step("seat_jobs", who, self.commit(state, me, look), "commits")

    def _unlocked(self, state: State, me: int) -> State:
        free = NOBODY if state.locked == me else state.locked
        return state.look(me, Look())._replace(locked=free)

    def see(self, state: State, look: Look) -> Look:
        """How the jobs that were marked are now, and what is due."""
        marked = {number for number, _ in look.marks}
        phases: list[int | None] = []
        freed = 0
        for number, job in enumerate(state.jobs):
            phase: int | None = UNSEEN if job.phase is None else job.phase
            if number in marked:
                gone = job.state != LIVE or self.twin.trusts_the_mark
                if phase == SEATED and gone:
                    freed += 1
                if job.state in (DEAD, OVER):
                    phase = None
                elif job.state == BLOCKED:
                    phase = LATER
            if phase == LATER and job.due:
                phase = STANDS
            phases.append(phase)
        return look._replace(step=2, phases=tuple(phases), freed=freed)

    def choose(self, state: State, look: Look) -> Look:
        """Those that find a seat, in their order; what is locked is passed over."""
        room = 0 if state.paused else 1 - (state.taken - look.freed)
        chosen: set[int] = set()
        passed: set[int] = set()
        for number, phase in enumerate(look.phases):
            if phase != STANDS or len(chosen) >= room:
                continue
            job = state.jobs[number]
            (passed if job.held or job.state != BLOCKED else chosen).add(number)
        return look._replace(step=3, chosen=frozenset(chosen), passed=frozenset(passed))

    def commit(self, state: State, me: int, look: Look) -> State:
        """All of it at once."""
        after = self._unlocked(state, me)
        for number, phase in enumerate(look.phases):
            if number in look.chosen:
                after = after.job(number, state=LIVE, phase=SEATED)
            elif phase != UNSEEN:  # else it may have come meanwhile
                after = after.job(number, phase=phase)
        marks = look.marks
        if self.twin.forgets_what_came_later:
            looked = {number for number, _ in look.marks}
            marks = frozenset(mark for mark in state.marks if mark[0] in looked)
        taken = state.taken - look.freed + len(look.chosen)
        after = after._replace(marks=after.marks - marks, taken=taken)
        if not self.twin.forgets_what_is_locked:
            for number in look.passed:
                after = after.marked(number)
        return after

    def broken(self, before: State, step: Step[State]) -> Iterator[str]:
        """The properties that a step breaks."""
        del before
        if sum(job.state == LIVE for job in step.state.jobs) > 1:
            yield AS_WIDE_AS_SAID
        if any(job.state == LIVE and not job.due for job in step.state.jobs):
            yield NOT_DUE_NO_SEAT

    def finished(self, state: State) -> bool:
        """Return whether all are over, and nothing is left to be looked at."""
        return (
            all(job.state in (OVER, DEAD) and job.phase is None for job in state.jobs)
            and not state.marks
            and state.taken == 0
            and not state.paused
        )
