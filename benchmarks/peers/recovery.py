"""What becomes of the running jobs of a killed worker: all peers are waited for at once."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from benchmarks.peers.conversation import PeerFailed, Producer
from benchmarks.peers.figures import Results
from benchmarks.peers.marks import Mark
from benchmarks.peers.servers import SERVER_FAULTS
from benchmarks.peers.stand import Stand

RUNNING = 50
NAME = "recovery"
_STARTED = 30.0  # seconds that a worker may take to begin all of them
_SETTLED = 2.0  # seconds without another start, where a process does not run so many at once
_POLL = 0.1  # seconds


@dataclass(slots=True)
class Killed:
    """A peer whose worker was killed, and has another.

    Attributes:
        stand: the peer.
        producer: asked in the end what is still held.
        running: numbers of the jobs that were running.
        at: time of the kill, in nanoseconds of CLOCK_MONOTONIC.
    """

    stand: Stand
    producer: Producer
    running: frozenset[int]
    at: int

    def reruns(self) -> list[Mark]:
        """Starts since the kill of jobs that were running at it."""
        marks = self.stand.marks.all()
        return [mark for mark in marks if mark.at > self.at and mark.number in self.running]

    def is_done(self) -> bool:
        """Whether all of them have run again."""
        return {mark.number for mark in self.reruns()} == self.running


async def measure_recovery(stands: Sequence[Stand], results: Results, within: float) -> None:
    """Kill a worker of each peer, one after the other; then wait for all of them together.

    Waiting costs no CPU, so that no peer disturbs another; each has its own database in both
    servers.
    """
    async with AsyncExitStack() as stack:
        killed = []
        for number, stand in enumerate(stands):
            if number == 0:
                await stand.servers.renew_valkey()
            try:
                killed.append(await _kill(stand, number, stack))
            except (PeerFailed, *SERVER_FAULTS) as exc:
                results.fail(stand.peer.name, NAME, str(exc))
        end = time.monotonic() + within
        while time.monotonic() < end and not all(one.is_done() for one in killed):
            await asyncio.sleep(_POLL)  # other processes write
        for one in killed:
            try:
                results.add(one.stand.peer.name, await _account(one))
            except (PeerFailed, *SERVER_FAULTS) as exc:
                results.fail(one.stand.peer.name, NAME, str(exc))


async def _kill(stand: Stand, number: int, stack: AsyncExitStack) -> Killed:
    stand.marks.clear()
    stand.redis = stand.servers.redis_url(number)
    await stand.servers.renew_database(stand.peer)
    producer = await stack.enter_async_context(stand.producer())
    order = {"how": "single", "task": "hold", "n": RUNNING, "seconds": 20.0}
    await producer.order("enqueue", within=20.0, **order)
    async with stand.crew(PEER_HOLD="1") as crew:
        await _begun(stand)
        crew.check()
        running = frozenset(mark.number for mark in stand.marks.all())
        at = time.monotonic_ns()
    if not running:
        raise PeerFailed(f"no job began within {_STARTED:.0f} s")
    await stack.enter_async_context(stand.crew())
    return Killed(stand, producer, running, at)


async def _begun(stand: Stand) -> None:
    """Wait until all run, or as many as the worker runs at once."""
    seen, changed = 0, time.monotonic()
    while seen < RUNNING and time.monotonic() < changed + (_SETTLED if seen else _STARTED):
        await asyncio.sleep(_POLL)  # other processes write
        if (now := stand.marks.count()) != seen:
            seen, changed = now, time.monotonic()


async def _account(one: Killed) -> dict[str, float]:
    reruns = one.reruns()
    times = Counter(mark.number for mark in reruns)
    held = int(await one.producer.order("held"))
    return account(len(one.running), [mark.at - one.at for mark in reruns], times, held)


def account(running: int, after: Sequence[int], times: Counter[int], held: int) -> dict[str, float]:
    """What became of the jobs.

    Args:
        running: how many ran when the worker was killed.
        after: nanoseconds from the kill to each new start.
        times: new starts by job.
        held: unfinished jobs that the peer still keeps.
    """
    found = {
        "recovery_running": float(running),
        "recovery_rerun": float(len(times)),
        "recovery_lost": float(max(0, running - len(times) - held)),
        "recovery_twice": float(sum(count > 1 for count in times.values())),
    }
    if len(times) == running:
        found["recovery"] = max(after) / 1e9
    return found
