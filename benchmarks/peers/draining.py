"""Workers at a backlog, watched for a while: how fast they are, and what a job costs."""

from dataclasses import dataclass
from typing import NamedTuple

from benchmarks.peers.conversation import PeerFailed, Workers
from benchmarks.peers.marks import rate_between
from benchmarks.peers.servers import Meter
from benchmarks.peers.stand import Stand

STARTED = 30.0  # seconds that a worker may take to its first job
_WARM, _WARM_MOST = 20, 1000  # one job in 20, the first of them, is not measured


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of a drain.

    Attributes:
        rate: jobs a second.
        costs: worker_cpu, postgres_cpu and valkey_cpu in microseconds a job; wal in bytes a job.
    """

    rate: float
    costs: dict[str, float]


async def drain(
    stand: Stand, n: int, seconds: float, *, processes: int = 1, share: float = 1.0
) -> Window:
    """Watch workers at a backlog of `n` jobs, until a share of it is done or the time is over.

    Raises:
        PeerFailed: a worker ended, or too few jobs ran to tell a rate.
    """
    warm = max(1, min(n // _WARM, _WARM_MOST))
    async with stand.crew(processes) as crew:
        if not await stand.reach(crew, 1, STARTED):
            raise PeerFailed(f"no job began within {STARTED:.0f} s of the start of a worker")
        await stand.reach(crew, warm, seconds / 2)
        before = await _look(stand, crew)
        await stand.reach(crew, round(n * share), seconds)
        after = await _look(stand, crew)
    starts = [mark.at for mark in stand.marks.all()]
    try:
        rate = rate_between(starts, min(warm, before.jobs) - 1, after.jobs - 1)
    except ValueError as exc:
        raise PeerFailed(str(exc)) from None
    return Window(rate, _costs(before, after))


class _Look(NamedTuple):
    """What was spent, and how many jobs had begun, at some moment of a drain."""

    servers: Meter
    workers: float
    jobs: int


async def _look(stand: Stand, crew: Workers) -> _Look:
    # Always in this order, so that all three are of a stretch of the same length.
    return _Look(await stand.servers.meter(), crew.cpu(), stand.marks.count())


def _costs(before: _Look, after: _Look) -> dict[str, float]:
    jobs = after.jobs - before.jobs
    if jobs == 0:  # all were done before the first look, as may be where they are few
        return {}
    spent, had = after.servers, before.servers
    return {
        "worker_cpu": (after.workers - before.workers) / jobs * 1e6,
        "postgres_cpu": (spent.postgres_cpu - had.postgres_cpu) / jobs * 1e6,
        "valkey_cpu": (spent.valkey_cpu - had.valkey_cpu) / jobs * 1e6,
        "wal": (spent.wal - had.wal) / jobs,
    }
