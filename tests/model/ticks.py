"""One schedule, two schedulers that may die, an operator, and a clock: every tick is made once."""

from collections.abc import Iterable, Iterator

from model.explorer import Step
from model.values import Value

LAST = 3  # ticks are the moments 1 to LAST

ONCE = "no tick is made twice"
NONE_LOST = "every tick that was passed, and not by a pause, was made"
PAUSED = "a paused schedule makes nothing, then or later"
AS_EDITED = "what is made after an edit is as it says"


class Twin(Value, frozen=True):
    """What a broken variant leaves out."""

    insert_apart: bool = False
    advance_apart: bool = False
    compare_nothing: bool = False
    compare_cursor_alone: bool = False
    pause_unseen: bool = False
    resume_without_cursor: bool = False


class Budget(Value, frozen=True):
    """How often things may happen."""

    deaths: int = 2
    pauses: int = 1
    edits: int = 1

    def spend(self, what: str) -> "Budget":
        return self._replace(**{what: getattr(self, what) - 1})


class Read(Value, frozen=True):
    """What a scheduler read; `written` is what a twin did in a transaction of its own."""

    version: int
    cursor: int
    now: int
    inserted: bool = False
    advanced: bool = False


class State(Value, frozen=True):
    """The row, its jobs, and who is at work."""

    budget: Budget
    now: int = 0
    cursor: int = 0
    version: int = 1
    paused: bool = False
    made: tuple[int, ...] = ()
    over: frozenset[int] = frozenset()  # passed over in a pause
    readers: tuple[Read | None, ...] = (None, None)


class Ticks(Value, frozen=True):
    """The model; without a twin it is the code, without the second fence of idempotency keys."""

    budget: Budget = Budget()
    twin: Twin = Twin()

    def initial(self) -> State:
        return State(self.budget)

    def finished(self, state: State) -> bool:
        return state.cursor >= LAST

    def steps(self, state: State) -> Iterator[Step[State]]:
        if state.now < LAST:
            yield Step("tick", "clock", self._passing(state, state.now + 1))
        yield from self._operator(state)
        for number, read in enumerate(state.readers):
            yield from self._scheduler(state, number, read)

    def _passing(self, state: State, now: int) -> State:
        over = state.over | {now} if state.paused else state.over
        return state._replace(now=now, over=over)

    def _operator(self, state: State) -> Iterator[Step[State]]:
        bumped = state._replace(version=state.version + 1)
        if state.paused:
            kept = self.twin.resume_without_cursor
            cursor = state.cursor if kept else state.now
            resumed = bumped._replace(paused=False, cursor=cursor)
            yield Step("resume", "operator", resumed)
        elif state.budget.pauses:
            # What is due and not made yet is passed over at the end of the pause.
            waiting = frozenset(range(state.cursor + 1, state.now + 1))
            paused = bumped._replace(paused=True, over=state.over | waiting)
            yield Step("pause", "operator", paused._replace(budget=state.budget.spend("pauses")))
        if state.budget.edits:
            yield Step("edit", "operator", bumped._replace(budget=state.budget.spend("edits")))

    def _scheduler(self, state: State, number: int, read: Read | None) -> Iterator[Step[State]]:
        actor = f"s{number}"

        def then(after: State, held: Read | None) -> State:
            readers = tuple(held if n == number else one for n, one in enumerate(after.readers))
            return after._replace(readers=readers)

        if read is None:
            if not state.paused and state.cursor < state.now:
                held = Read(state.version, state.cursor, state.now)
                yield Step("due", actor, then(state, held))
            return
        if state.budget.deaths:
            dead = then(state, None)._replace(budget=state.budget.spend("deaths"))
            yield Step("die", actor, dead, fault=True)
        if self.twin.insert_apart and not read.inserted:
            yield Step("make", actor, then(_insert(state, read), read._replace(inserted=True)))
        elif self.twin.advance_apart and not read.advanced:
            fits = self._fits(state, read)
            after = _advance(state, read) if fits else state
            yield Step("move", actor, then(after, read._replace(advanced=True) if fits else None))
        elif self.twin.insert_apart:
            after = _advance(state, read) if self._fits(state, read) else state
            yield Step("move", actor, then(after, None))
        elif self.twin.advance_apart:
            yield Step("make", actor, then(_insert(state, read), None))
        else:
            fits = self._fits(state, read)
            after = _advance(_insert(state, read), read) if fits else state
            yield Step("make", actor, then(after, None), note="" if fits else "nothing")

    def _fits(self, state: State, read: Read) -> bool:
        """Whether make_ticks.sql finds the row as it was read."""
        twin = self.twin
        same = twin.compare_nothing or state.cursor == read.cursor
        known = twin.compare_nothing or twin.compare_cursor_alone or twin.pause_unseen
        unseen = twin.compare_nothing or twin.pause_unseen
        return same and (known or state.version == read.version) and (unseen or not state.paused)

    def broken(self, before: State, step: Step[State]) -> Iterable[str]:
        after = step.state
        new = after.made[len(before.made) :]
        if len(set(after.made)) < len(after.made):
            yield ONCE
        if new and (before.paused or before.over.intersection(new)):
            yield PAUSED
        if new:
            read = before.readers[int(step.actor.removeprefix("s"))]
            assert read is not None
            if read.version != before.version and not self.twin.resume_without_cursor:
                yield AS_EDITED
        at_work = [one for one in after.readers if one is not None and one.advanced]
        passed = set(range(1, after.cursor + 1)) - after.over - set(after.made)
        if passed and not at_work:
            yield NONE_LOST


def _insert(state: State, read: Read) -> State:
    return state._replace(made=(*state.made, *range(read.cursor + 1, read.now + 1)))


def _advance(state: State, read: Read) -> State:
    return state._replace(cursor=read.now)
