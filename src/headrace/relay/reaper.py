"""The reaper: takes jobs from workers that are silent for a whole lease (protocol A4)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from headrace.ports.clock import boottime
from headrace.ports.ledger import Ledger, Pulse
from headrace.relay.leadership import Leadership
from headrace.service import Loop

LEASE = 15.0
_POLL = 1.0
_FOLLOWING = 2.0
_LONGEST_GAP = 5.0
_BATCH = 500


@dataclass(slots=True)
class _Sight:
    """The last beat seen of a worker, when it was first seen, on our clock, and its lease."""

    beats: int
    since: float
    lease: float


class Reaper:
    """Watches the beats of all workers and voids the silent.

    Each is judged by the lease that it registered with. Silence is measured on this process's own
    clock between its own polls, never by comparing wall clocks. Whoever could not poll for five
    seconds, or for half of the lease, has not watched: that time is no silence. So the first reaper
    back after an outage of the database, or after a SIGSTOP, reaps nobody who had no chance to beat
    (tests/model/direct.py, twin `judge_without_watching`): who lives has all of its lease before it
    but what it took from one beat to the next. Who died before goes on being dead; were all to get
    a new lease at each gap, a busy machine would reap nobody for long.

    One of many judges. The others watch, too, half as often: who must lead then has seen enough.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        lease: float = LEASE,
        clock: Callable[[], float] = boottime,
        failed: Callable[[BaseException], None] | None = None,
    ) -> None:
        self._ledger = ledger
        self._lease = lease
        self._clock = clock
        self._sights: dict[UUID, _Sight] = {}
        self._polled = -_LONGEST_GAP
        self._leadership = Leadership(ledger.lanes, "reaper", min(lease, LEASE) / 3, clock=clock)
        self.loop: Loop = Loop("reaper", self.poll, ended=self._leadership.resign, failed=failed)

    async def poll(self) -> float:
        """Watch; who leads judges and reaps."""
        leads = await self._leadership.held()
        asked = self._clock()
        living = await self._ledger.watch()
        self._look(living, asked)
        shortest = min([self._lease, *(sight.lease for sight in self._sights.values())])
        if not leads:
            return min(_FOLLOWING, shortest / 5)
        for worker, sight in list(self._sights.items()):
            if self._polled - sight.since >= sight.lease:
                await self._ledger.judge(worker, sight.beats)
                del self._sights[worker]
        taken = await self._ledger.reap(_BATCH)
        return 0.0 if taken == _BATCH else min(_POLL, shortest / 5)

    def _look(self, living: Mapping[UUID, Pulse], asked: float) -> None:
        gap = asked - self._polled
        for sight in self._sights.values():
            if gap > min(_LONGEST_GAP, sight.lease / 2):
                sight.since = min(sight.since + gap, asked)
        for worker in self._sights.keys() - living.keys():
            del self._sights[worker]
        for worker, pulse in living.items():
            seen = self._sights.get(worker)
            if seen is None or seen.beats != pulse.beats:
                lease = pulse.lease or self._lease
                self._sights[worker] = _Sight(pulse.beats, self._clock(), lease)
        self._polled = asked
