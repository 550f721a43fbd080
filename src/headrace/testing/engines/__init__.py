"""The conformance suite of engines: what `ports/engine.py` promises, as tests.

Derive a test class from `EngineConformance` and give it a fixture `rig`:

    class TestMyEngine(EngineConformance):
        @pytest.fixture
        async def rig(self) -> AsyncIterator[Rig]: ...
"""

import pytest

from headrace.testing.engines.depths import Depths
from headrace.testing.engines.endings import Endings
from headrace.testing.engines.events import EventTelling
from headrace.testing.engines.fairness import Fairness
from headrace.testing.engines.inserts import Inserts
from headrace.testing.engines.joining import Joining
from headrace.testing.engines.leases import Leases
from headrace.testing.engines.limits import Limits
from headrace.testing.engines.operators import Operators
from headrace.testing.engines.ordering import Ordering
from headrace.testing.engines.promises import PromiseKeeping
from headrace.testing.engines.rig import Rig, Surroundings
from headrace.testing.engines.schedules import SchedulesByHand
from headrace.testing.engines.seating import Seating
from headrace.testing.engines.seating_beside import SeatingBeside
from headrace.testing.engines.shares import Shares
from headrace.testing.engines.streams import StreamKeeping
from headrace.testing.engines.takes import Takes
from headrace.testing.engines.tellings import Tellings
from headrace.testing.engines.topics import TopicKeeping
from headrace.testing.engines.transactions import Transactions
from headrace.testing.engines.uniqueness import Uniqueness

__all__ = ["EngineConformance", "Rig", "Surroundings"]


class EngineConformance(
    Inserts,
    Takes,
    Shares,
    Endings,
    Leases,
    Transactions,
    Operators,
    PromiseKeeping,
    SchedulesByHand,
    Uniqueness,
    Limits,
    Depths,
    Ordering,
    Joining,
    Seating,
    SeatingBeside,
    Fairness,
    Tellings,
    TopicKeeping,
    EventTelling,
    StreamKeeping,
):
    """All promises; what an engine declares that it cannot do is skipped."""

    @pytest.fixture(autouse=True)
    def _within_capabilities(self, rig: Rig, request: pytest.FixtureRequest) -> None:
        part = str(request.function.__qualname__).partition(".")[0]
        needed = {
            Transactions.__name__: "database",
            Limits.__name__: "limits",
            Depths.__name__: "limits",
            SchedulesByHand.__name__: "schedules",
            Ordering.__name__: "links",
            Joining.__name__: "links",
            Seating.__name__: "limits",
            SeatingBeside.__name__: "limits",
            Fairness.__name__: "limits",
        }.get(part)
        if needed is not None and not getattr(rig.around.capabilities, needed):
            pytest.skip(f"the engine declares that it has no {needed}")
