"""What of a state of lane mode no future step can ask for."""

from functools import cache

from model.lane_state import DONE, Producer, State, Statement, with_worker
from model.ledger import OVER, Row


def tidied(state: State) -> State:
    """Forget what no future step can ask for, so that more histories end in the same state."""
    row, wire = _tidied_row(state.row), state.wire
    if wire:
        wire = tuple(statement for statement in wire if _may_matter(statement, state))
    producer, lane = state.producer, state.lane
    if producer.stage == DONE and all(statement.action != "put" for statement in wire):
        producer = Producer(DONE, window=False)
    if lane.tomb and not producer.window:
        lane = lane._replace(tomb=False)
    uncharged = state.uncharged
    if uncharged:
        uncharged = frozenset(take for take in uncharged if _is_known(take, state))
    state = state._replace(row=row, producer=producer, lane=lane, wire=wire, uncharged=uncharged)
    takes = _takes(state)
    for number, worker in enumerate(state.workers):
        if worker.calls:
            remembered = {call for holder, call in takes if holder == worker.id}
            state = _renumbered(state, number, remembered)
    return state


@cache
def _tidied_row(row: Row) -> Row:
    row = row._replace(open=0, settled_by=0, blamed=0, started=False)
    if row.state in OVER:
        row = row._replace(failures=0, crashes=0, call=0)
    return row


def _takes(state: State) -> list[tuple[int, int]]:
    """Return all takes that are remembered: whose, and its number."""
    entries = state.lane.entries
    if state.snapshot:
        entries += state.snapshot.entries
    takes = [(entry.holder, entry.call) for entry in entries]
    takes += state.uncharged
    takes += [(state.row.owner, state.row.call), state.reaper.lease]
    takes += [(late.worker, late.call) for late in state.wire]
    for worker in state.workers:
        if worker.hand:
            takes.append((worker.id, worker.hand.call))
        if worker.reply:
            takes.append((worker.id, worker.reply.call))
        if worker.named:
            takes.append((worker.id, worker.named[1]))
    return takes


def _is_known(take: tuple[int, int], state: State) -> bool:
    """Whether anything that may be reaped still names this take."""
    leases = {(entry.holder, entry.call) for entry in state.lane.entries}
    leases |= {(state.row.owner, state.row.call), state.reaper.lease}
    for worker in state.workers:
        leases |= {(worker.id, one.call) for one in (worker.reply, worker.hand) if one}
    return state.row.state not in OVER and take in leases


def _may_matter(late: Statement, state: State) -> bool:
    """Whether a late statement may still change anything."""
    if late.action == "put":
        return state.producer.window
    if state.row.state in OVER:
        return late.action == "beat" and late.epoch == state.served
    if late.action == "claim direct":
        return True
    if late.action in ("settle", "claim", "adopt"):
        return late.gen == state.row.gen
    if late.action in ("stale", "charge"):
        return True
    return late.epoch == state.served


def _renumbered(state: State, number: int, remembered: set[int]) -> State:
    """Let a worker's takes count from 1 again as far as they are remembered: only order matters."""
    worker = state.workers[number]
    if not remembered:
        return with_worker(state, number, worker._replace(calls=0))
    remembered.add(worker.calls)  # the last one
    if len(remembered) == worker.calls:
        return state
    return _recounted(
        state, number, {call: rank for rank, call in enumerate(sorted(remembered), 1)}
    )


def _recounted(state: State, number: int, ranks: dict[int, int]) -> State:
    worker, row, snapshot = state.workers[number], state.row, state.snapshot
    wire = tuple(
        late._replace(call=ranks[late.call]) if late.worker == worker.id else late
        for late in state.wire
    )
    if row.owner == worker.id:
        row = row._replace(call=ranks[row.call])
    renumbered = worker._replace(
        calls=ranks[worker.calls],
        reply=worker.reply and worker.reply._replace(call=ranks[worker.reply.call]),
        named=worker.named and (worker.named[0], ranks[worker.named[1]]),
        hand=worker.hand and worker.hand._replace(call=ranks[worker.hand.call]),
    )
    lane = state.lane.renumbered(worker.id, ranks)
    snapshot = snapshot and snapshot.renumbered(worker.id, ranks)
    uncharged = frozenset(
        (of, ranks[call] if of == worker.id else call) for of, call in state.uncharged
    )
    reaper = state.reaper
    if reaper.lease[0] == worker.id:
        reaper = reaper._replace(lease=(worker.id, ranks[reaper.lease[1]]))
    state = state._replace(row=row, lane=lane, wire=wire, snapshot=snapshot)
    state = state._replace(uncharged=uncharged, reaper=reaper)
    return with_worker(state, number, renumbered)
