"""The conformance suite of lanes: every rule of `ports/lane.py` as a test.

Derive a test class from `LaneConformance` and give it a fixture `rig`:

    class TestMyLane(LaneConformance):
        @pytest.fixture
        async def rig(self) -> AsyncIterator[Rig]: ...
"""

from headrace.testing.lanes.epochs import Epochs
from headrace.testing.lanes.leases import Leases
from headrace.testing.lanes.puts import Puts
from headrace.testing.lanes.rig import Rig
from headrace.testing.lanes.shares import Shares
from headrace.testing.lanes.takes import Takes
from headrace.testing.lanes.upkeep import Upkeep
from headrace.testing.lanes.waits import Waits

__all__ = ["LaneConformance", "Rig"]


class LaneConformance(Puts, Takes, Shares, Leases, Epochs, Waits, Upkeep):
    """All rules."""
