"""What a chaos process does to the lane from outside: points around it, losses written down."""

from collections.abc import Callable, Sequence
from typing import Any

from chaos.events import LeaseLost
from chaos.history import History
from headrace.lanes.redis.lane import RedisLane
from headrace.ledger.lane_ledger import PostgresLaneLedger
from headrace.ledger.queries import Queries
from headrace.model.entry import Lease

Around = Callable[[str, Any], Any]


class RecordedLaneLedger(PostgresLaneLedger):
    """What the ledger does for the lane; what it takes from workers leaves lines in the history."""

    def __init__(self, queries: Queries, history: History) -> None:
        super().__init__(queries)
        self._history = history

    async def bump(self, epoch: int, leases: Sequence[Lease], error: str) -> None:
        await super().bump(epoch, leases, error)
        for lease in leases:
            self._history.append(LeaseLost(cause="bumped", job=str(lease.id)))


def lanes_with(around: Around) -> Callable[..., RedisLane]:
    """Return what makes lanes with the points of this process around each."""

    def lane(url: str, *, lease: float) -> RedisLane:
        wrapped: RedisLane = around("lane", RedisLane(url, lease=lease))
        return wrapped

    return lane
