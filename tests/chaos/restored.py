"""What a history still promises once the ledger has been restored to an earlier moment."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chaos.events import (
    AnyEvent,
    EnqueueCalled,
    EnqueueReturned,
    EnqueueUndone,
    Settled,
    StartChecked,
)

ASKED = (EnqueueCalled, EnqueueReturned)


@dataclass(frozen=True)
class Gap:
    """What a restored ledger does not know, as times of the history (ns).

    Attributes:
        began: before the dump.
        ended: after the last process that used the old ledger had lost its way to it.
        noticed: by which everybody knew that it was restored.
    """

    began: int
    ended: int
    noticed: int

    def hides(self, event: AnyEvent) -> bool:
        """Whether the ledger was told this and knows nothing of it."""
        return self.began <= event.at < self.ended


def survived(history: Sequence[AnyEvent], gap: Gap, known: Iterable[str]) -> list[AnyEvent]:
    """Leave out what the ledger was told in the gap, and every start that led to it.

    A worker may start for a moment what it had been given before: nobody has told it yet.

    Args:
        history: in time order.
        gap: between the dump and its return.
        known: the jobs that the ledger has now.
    """
    gone = vanished(history, gap, known)
    undone = {(e.job, e.gen) for e in history if isinstance(e, Settled) and gap.hides(e)}

    def stands(event: AnyEvent) -> bool:
        match event:
            case StartChecked():
                within = gap.began <= event.at < gap.noticed
                return not within and (event.job, event.gen) not in undone
            case EnqueueReturned() | EnqueueUndone() | Settled():
                return not gap.hides(event)
            case _:
                return True

    return [
        event
        for event in history
        if stands(event) and not (getattr(event, "job", None) in gone and event.at < gap.noticed)
    ]


def vanished(history: Sequence[AnyEvent], gap: Gap, known: Iterable[str]) -> set[str]:
    """The jobs that were enqueued in the gap, and that the dump does not have."""
    return {e.job for e in history if isinstance(e, ASKED) and gap.hides(e)}.difference(known)
