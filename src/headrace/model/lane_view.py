"""How the lane is, as the ledger says and all go by."""

from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from headrace.model.promise import Promises

NOBODY = UUID(int=0)


def short(ledger: UUID) -> str:
    """A ledger's identity as the keys of its lane, and people, name it."""
    return ledger.hex[:8]


class Mode(StrEnum):
    """Who gives out jobs: the ledger, nobody just now, or the lane."""

    DIRECT = "direct"
    REBUILD = "rebuild"
    HYBRID = "hybrid"


class Mark(NamedTuple):
    """What a ledger leaves in its lane every few seconds, having written it down itself before.

    Attributes:
        tide: rises from mark to mark.
        name: random, so that two copies of a ledger never leave the same mark.
    """

    tide: int
    name: UUID


class Sighting(NamedTuple):
    """What a lane tells of itself.

    Attributes:
        epoch: at which it was opened last; 0 while it is opened for another.
        living: its server has lived since then.
        mark: the latest that a ledger left.
    """

    epoch: int
    living: bool
    mark: Mark | None


class LaneView(NamedTuple):
    """One state of the lane.

    Attributes:
        epoch: raised at every switch and after every loss of data.
        mode: who gives out jobs.
        held: an operator switched the lane off.
        voted: most workers could not reach the lane, so the ledger gives out jobs.
        calm: nobody works under an earlier epoch any more.
        fence: rows of this transaction and later ones cannot lie in an earlier epoch; None while
            it is not known.
        ledger: whose lane it is.
        mark: the latest of this ledger.
        promises: of the queues, which all must know who know how the lane is.
    """

    epoch: int
    mode: Mode
    held: bool = False
    calm: bool = True
    fence: int | None = None
    ledger: UUID = NOBODY
    mark: Mark = Mark(0, NOBODY)
    voted: bool = False
    promises: Promises = Promises()

    def clears(self, xid: int) -> bool:
        """Whether a row of this transaction is surely in nobody's hands."""
        return self.calm or (self.fence is not None and xid >= self.fence)

    def owns(self, seen: Sighting | None) -> bool:
        """Whether a lane that was seen before this view was read may be this ledger's own.

        It is not, if it tells of what this ledger has never done: then the database was restored
        to an earlier state, or is the copy of another one that goes on using the lane.
        """
        if seen is None:
            return True
        known = seen.mark is None or seen.mark.tide < self.mark.tide or seen.mark == self.mark
        return known and seen.epoch <= self.epoch
