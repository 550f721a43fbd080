"""One stream: publishers that may roll back, upkeep, and a reader that comes back with its last id.

What is left out decides nothing: a stream has one row, and a reader one place.
"""

from collections.abc import Iterable, Iterator

from model.explorer import Step
from model.values import Value

NO_HOLE = "a reader misses no event that it is not told of"
NO_DOUBLE = "a reader is given no event twice"

IDLE, WRITTEN, OVER = "idle", "written", "over"


class Twin(Value, frozen=True):
    """What a broken variant leaves out."""

    id_before_the_lock: bool = False  # as from a sequence
    prunes_untold: bool = False
    reads_apart: bool = False  # what is gone in a statement of its own
    wakes_alone: bool = False  # looks at nothing but what the bus names


class Publisher(Value, frozen=True):
    """A transaction."""

    step: str = IDLE
    id: int = 0


class State(Value, frozen=True):
    """Everything."""

    publishers: tuple[Publisher, ...]
    last: int = 0
    gone: int = 0
    kept: frozenset[int] = frozenset()
    committed: frozenset[int] = frozenset()
    locked: int = 0  # by which publisher, from 1
    named: bool = True  # the reader has something to look for: it has just begun
    told: bool = False  # a name is on the bus
    place: int = 0
    saw: tuple[int, ...] | None = None
    had: frozenset[int] = frozenset()
    excused: frozenset[int] = frozenset()
    prunes: int = 1
    losses: int = 1

    def publisher(self, number: int, **changes: object) -> "State":
        """Return the state with that publisher changed."""
        publishers = list(self.publishers)
        publishers[number - 1] = publishers[number - 1]._replace(**changes)
        return self._replace(publishers=tuple(publishers))


class Streams(Value, frozen=True):
    """The model; without a twin it is the code."""

    publishers: int = 3
    twin: Twin = Twin()

    def initial(self) -> State:
        return State(publishers=(Publisher(),) * self.publishers)

    def finished(self, state: State) -> bool:
        over = all(one.step == OVER for one in state.publishers)
        return over and state.place >= max(state.committed, default=0)

    def steps(self, state: State) -> Iterator[Step[State]]:
        for number, one in enumerate(state.publishers, 1):
            yield from self._publish(state, number, one)
        yield from self._prune(state)
        yield from self._bus(state)
        yield from self._read(state)

    def _publish(self, state: State, me: int, one: Publisher) -> Iterator[Step[State]]:
        who = f"publisher {me}"
        if one.step == IDLE and (state.locked == 0 or self.twin.id_before_the_lock):
            moved = state.last + 1
            written = state._replace(last=moved, locked=me)
            yield Step("put_stream_events", who, written.publisher(me, step=WRITTEN, id=moved))
        if one.step == WRITTEN:
            free = state._replace(locked=0).publisher(me, step=OVER)
            done = free._replace(
                kept=state.kept | {one.id}, committed=state.committed | {one.id}, told=True
            )
            yield Step("commit", who, done)
            last = state.last if self.twin.id_before_the_lock else state.last - 1
            yield Step("rollback", who, free._replace(last=last), fault=True)

    def _prune(self, state: State) -> Iterator[Step[State]]:
        if state.prunes and state.kept and state.locked == 0:
            oldest = min(state.kept)
            gone = state.gone if self.twin.prunes_untold else oldest
            less = state._replace(kept=state.kept - {oldest}, gone=gone, prunes=0)
            yield Step("prune_streams", "upkeep", less, fault=True)

    def _bus(self, state: State) -> Iterator[Step[State]]:
        if state.told:
            yield Step("hear", "bus", state._replace(told=False, named=True))
        if state.told and state.losses:
            yield Step("lose", "bus", state._replace(told=False, losses=0), fault=True)

    def _read(self, state: State) -> Iterator[Step[State]]:
        if self.twin.reads_apart:
            yield from self._read_apart(state)
        elif state.named or not self.twin.wakes_alone:
            page = tuple(sorted(one for one in state.kept if one > state.place))
            yield self._taken(state._replace(named=False), state.gone, page)

    def _read_apart(self, state: State) -> Iterator[Step[State]]:
        if state.saw is None:
            yield Step("look_at_gone", "reader", state._replace(saw=(state.gone,)))
        else:
            page = tuple(sorted(one for one in state.kept if one > state.place))
            yield self._taken(state._replace(saw=None), state.saw[0], page)

    def _taken(self, state: State, gone: int, page: tuple[int, ...]) -> Step[State]:
        """A gap excuses what is gone after the reader's place."""
        place = max(state.place, gone)
        excused = state.excused | {one for one in state.committed if state.place < one <= gone}
        after = state._replace(
            place=max((place, *page)), had=state.had | set(page), excused=excused
        )
        return Step("read", "reader", after, note=str(page))

    def broken(self, before: State, step: Step[State]) -> Iterable[str]:
        after = step.state
        passed = {one for one in after.committed if one <= after.place}
        if passed - after.had - after.excused:
            yield NO_HOLE
        if step.action == "read" and step.note != "()":
            page = {int(one) for one in step.note.strip("(),").split(",") if one.strip()}
            if page & before.had:
                yield NO_DOUBLE
