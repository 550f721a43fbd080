"""Every key of a lane on Redis. All share one hash tag, so a lane is one slot of a cluster."""

from uuid import UUID

from headrace.model.lane_view import short
from headrace.model.priority import LEVELS

LANES = b"{headrace:*}:meta"  # one key of every lane of a server


def ledger_of(meta: bytes) -> str:
    """The ledger's identity, in its short form, from the key of a lane's `meta`."""
    return meta.removeprefix(b"{headrace:").partition(b"}")[0].decode()


class Keys:
    """The keys of one ledger's lane.

    Attributes:
        meta: HASH of the epoch, the ledger's mark, the clock, the grace, pauses, caps and the
            levels' passes.
        jobs: HASH of every entry by id.
        tombs: ZSET of ids that ended, by when their tombstone goes.
        workers: ZSET of workers by when their lease ends.
        queues: SET of the queues that ever had an entry in this epoch.
        cursors: HASH of the refill's cursors.
        probe: never there; to delete it shows that the server takes writes.
        bus: what the names of all channels of the bus begin with.
    """

    def __init__(self, ledger: UUID) -> None:
        self._tag = tag = f"{{headrace:{short(ledger)}}}:".encode()
        self.meta: bytes = tag + b"meta"
        self.jobs: bytes = tag + b"jobs"
        self.tombs: bytes = tag + b"tombs"
        self.workers: bytes = tag + b"workers"
        self.queues: bytes = tag + b"queues"
        self.cursors: bytes = tag + b"cursors"
        self.probe: bytes = tag + b"probe"
        self.bus: bytes = tag + b"bus:"
        self._ready: dict[str, list[bytes]] = {}

    def ready(self, queue: str) -> list[bytes]:
        """LISTs of a queue's ready tokens, in the order of `LEVELS`."""
        lists = self._ready.get(queue)
        if lists is None:
            prefix = self._tag + b"ready:" + queue.encode()
            lists = self._ready[queue] = [prefix + b":%d" % level for level in LEVELS]
        return lists

    def delayed(self, queue: str) -> bytes:
        """ZSET of a queue's tokens by when they are due."""
        return self._tag + b"delayed:" + queue.encode()

    def wake(self, queue: str) -> bytes:
        """LIST on which workers wait for a queue."""
        return self._tag + b"wake:" + queue.encode()

    def nudge(self, worker: UUID) -> bytes:
        """LIST on which a worker is told to stop waiting."""
        return self._tag + b"nudge:" + worker.hex.encode()

    def held(self, worker: bytes) -> bytes:
        """HASH of a worker's leases by id."""
        return self._tag + b"held:" + worker.hex().encode()

    def calls(self, worker: bytes) -> bytes:
        """HASH of the number of a worker's last take of each queue."""
        return self._tag + b"calls:" + worker.hex().encode()

    def of_queue(self, queue: str) -> list[bytes]:
        """All keys of a queue."""
        return [self.delayed(queue), self.wake(queue), *self.ready(queue)]

    def of_worker(self, worker: bytes) -> list[bytes]:
        """All keys of a worker but its nudge, which no epoch ends."""
        return [self.held(worker), self.calls(worker)]

    def of_lane(self) -> list[bytes]:
        """The keys that are there once, `meta` first."""
        return [self.meta, self.jobs, self.tombs, self.workers, self.queues, self.cursors]
