"""How the lane is, as the ledger says and all go by."""

from enum import StrEnum
from typing import NamedTuple


class Mode(StrEnum):
    """Who gives out jobs: the ledger, nobody just now, or the lane."""

    DIRECT = "direct"
    REBUILD = "rebuild"
    HYBRID = "hybrid"


class LaneView(NamedTuple):
    """One state of the lane.

    Attributes:
        epoch: raised at every switch and after every loss of data.
        mode: who gives out jobs.
        held: an operator switched the lane off.
        calm: nobody works under an earlier epoch any more.
        fence: rows of this transaction and later ones cannot lie in an earlier epoch; None while
            it is not known.
    """

    epoch: int
    mode: Mode
    held: bool = False
    calm: bool = True
    fence: int | None = None

    def clears(self, xid: int) -> bool:
        """Whether a row of this transaction is surely in nobody's hands."""
        return self.calm or (self.fence is not None and xid >= self.fence)
