"""Which fault strikes when: drawn from a seed, so that a run can be had again, then carried out."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from random import Random

from chaos.events import FaultInjected
from chaos.fleet import Fleet, Member

POLL_SECONDS = 0.02
DRAWS = 2**32

Strike = Callable[[Fleet, int], Awaitable[None]]
Busy = Callable[[Member], bool]


@dataclass(frozen=True)
class Fault:
    """A kind of fault.

    Attributes:
        name: what the counts call it.
        weight: how often it is drawn, compared with the others.
        strike: does it and heals it again, given the fleet and a drawn number.
    """

    name: str
    weight: int
    strike: Strike


@dataclass(frozen=True)
class PlannedFault:
    """A fault, its time in seconds from the start, and the number drawn for its victim."""

    at: float
    fault: Fault
    draw: int


def always(_member: Member) -> bool:
    """Say that any living process is worth a fault."""
    return True


def kill(role: str, weight: int = 1, busy: Busy = always) -> Fault:
    """SIGKILL one process of a role once one is busy."""

    async def strike(fleet: Fleet, draw: int) -> None:
        await fleet.kill(await _busy(fleet, role, draw, busy))

    return Fault(f"kill {role}", weight, strike)


def stop(role: str, seconds: float, weight: int = 1, busy: Busy = always) -> Fault:
    """SIGSTOP one process of a role once one is busy, SIGCONT after so many seconds."""

    async def strike(fleet: Fleet, draw: int) -> None:
        await fleet.stop(await _busy(fleet, role, draw, busy), seconds)

    return Fault(f"stop {role}", weight, strike)


def call(name: str, step: Callable[[], Awaitable[object]], weight: int = 1) -> Fault:
    """Do something to a server or a proxy; the history gets it under its name."""

    async def strike(fleet: Fleet, _draw: int) -> None:
        fleet.history.append(FaultInjected(kind=name))
        await step()

    return Fault(name, weight, strike)


def plan(
    seed: int, faults: Sequence[Fault], seconds: float, mean_gap: float
) -> tuple[PlannedFault, ...]:
    """Draw the faults of a run: gaps are exponential, so that some come close together."""
    random = Random(seed)
    weights = [fault.weight for fault in faults]
    planned: list[PlannedFault] = []
    at = random.expovariate(1 / mean_gap)
    while at < seconds:
        (fault,) = random.choices(faults, weights)
        planned.append(PlannedFault(at, fault, random.randrange(DRAWS)))
        at += random.expovariate(1 / mean_gap)
    return tuple(planned)


async def carry_out(fleet: Fleet, planned: Sequence[PlannedFault]) -> Counter[str]:
    """Let each fault strike at its time, beside those still going on; returns counts by name."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.TaskGroup() as group:
        for step in planned:
            await asyncio.sleep(began + step.at - loop.time())  # as planned
            group.create_task(_strike(fleet, step))
    return Counter(step.fault.name for step in planned)


async def until(condition: Callable[[], Awaitable[bool]], *, within: float, what: str) -> None:
    """Ask again and again until the condition holds.

    Raises:
        TimeoutError: it did not hold within so many seconds; the message says what was awaited.
    """
    try:
        async with asyncio.timeout(within):
            while not await condition():
                await asyncio.sleep(POLL_SECONDS)  # servers and processes tell nobody
    except TimeoutError as error:
        raise TimeoutError(f"{what}: not within {within:g} s") from error


async def _strike(fleet: Fleet, step: PlannedFault) -> None:
    await step.fault.strike(fleet, step.draw)


async def _busy(fleet: Fleet, role: str, draw: int, busy: Busy) -> Member:
    while True:
        if found := [member for member in fleet.members(role) if busy(member)]:
            return found[draw % len(found)]
        await asyncio.sleep(POLL_SECONDS)  # another process begins to work, and tells nobody
