"""A failure drill: a fault strikes real processes under load, and what came of it is written down.

The history checker judges each run. What the drill adds is how long the fault was felt, beside the
seconds that it may be felt at most.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from chaos.checker import Rule, Violation, broken_rules
from chaos.events import AnyEvent, EnqueueCalled, EnqueueReturned, FaultInjected, Settled
from chaos.faultplan import until
from chaos.fleet import Fleet, Role
from chaos.history import now_ns
from chaos.restored import Gap, survived
from chaos.site import STEADY, Site, Verdict

LOST = (Rule.LOST, Rule.UNFINISHED, Rule.UNDONE, Rule.SETTLE_UNDONE)
TWICE = (Rule.COMPLETED_TWICE, Rule.TOKEN_SETTLED_TWICE, Rule.STORED_TWICE, Rule.EFFECTS)
LATE = (Rule.STARTED_AFTER_SETTLE, Rule.STALE_ACCEPTED)
ENQUEUED = "SELECT count(*) >= {n} FROM headrace.job"
COUNT = "SELECT count(*) FROM headrace.job"
PATIENCE = 90.0  # seconds, for what should have come long before


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What one scenario came to.

    Attributes:
        jobs: how many the producers were told to be durable.
        lost, twice, late: lost or unfinished, completed twice, started after completion.
        other: what else the checker found.
        recovered: the worst seconds from the end of a fault (or from its beginning, where nobody
            ends it) until a job that was enqueued after that was over, or all jobs of a load
            were; None: that never came.
        within: the seconds that were allowed.
    """

    scenario: str
    faults: dict[str, int]
    jobs: int
    lost: int
    twice: int
    late: int
    other: int
    recovered: float | None
    within: float

    @property
    def sound(self) -> bool:
        """Whether nothing was lost, doubled or late, and all went on."""
        found = self.lost or self.twice or self.late or self.other
        return not found and self.recovered is not None

    @property
    def met(self) -> bool:
        """Whether it is sound, and the fault was felt no longer than that."""
        return self.sound and self.recovered is not None and self.recovered <= self.within


@dataclass(frozen=True)
class Size:
    """How much of a drill is carried out.

    Attributes:
        rounds: how often its fault strikes.
        jobs: how many flow before each.
        lease: of the workers, in seconds; the product's own where it is None.
        timed: seconds are judged, too: not where other tests share the processors.
        split: for how many seconds there are two masters.
        results: the folder for what is to be published, or None.
    """

    rounds: int
    jobs: int
    lease: float | None
    timed: bool
    split: float
    results: Path | None = None

    def at(self, site: Site) -> Site:
        """The run with the lease of this size."""
        return replace(site, lease=self.lease)


@dataclass
class Drill:
    """A scenario while it goes on."""

    scenario: str
    site: Site
    size: Size
    within: float
    fleet: Fleet
    recoveries: list[float] = field(default_factory=list)
    unended: bool = False
    gap: Gap | None = None

    def strike(self, fault: str) -> None:
        """Write down that this fault strikes now."""
        self.unended = True
        self.fleet.history.append(FaultInjected(kind=fault))

    async def flow(self, jobs: int | None = None) -> None:
        """Wait until so many more jobs have been enqueued, or as many as this size wants."""
        async with self.site.connection() as connection:
            there = await connection.fetchval(COUNT)
        await self.site.ledger_says(
            ENQUEUED.format(n=there + (jobs or self.size.jobs)), within=PATIENCE
        )

    async def recover(self, since: int | None = None, *, of: int | None = None) -> None:
        """Wait until a job that is enqueued from now on (or since then, in ns) is over.

        Args:
            since: from when the seconds are counted.
            of: that job is enqueued after this, where what happened is noticed later only.
        """
        healed = since or now_ns()

        def seconds() -> float | None:
            return recovery(self.site.events(), healed, of or healed)

        async def recovered() -> bool:
            return seconds() is not None

        await until(recovered, within=PATIENCE, what="a job that was enqueued after the fault")
        found = seconds()
        assert found is not None
        self.recoveries.append(found)
        self.unended = False

    def over(self, since: int) -> None:
        """All that there was since a time (ns) is over now: that is what was waited for."""
        self.recoveries.append((now_ns() - since) / 1e9)
        self.unended = False

    async def drain(self) -> None:
        """No more jobs; all that there are are over."""
        for role in ("producer", STEADY):
            if self.fleet.members(role):
                await self.fleet.retire(role)
        await self.site.quiet(within=PATIENCE)

    async def verdict(self) -> Verdict:
        """Check the history; of what a restored ledger does not know nothing is promised."""
        if self.gap is None:
            return await self.site.verdict()
        # Transactions of two servers have numbers of their own.
        ledger = [replace(row, settled_xid=None) for row in await self.site.read_ledger()]
        history = survived(self.site.events(), self.gap, [row.job for row in ledger])
        return Verdict.of(history, ledger)

    def result(self, verdict: Verdict) -> Result:
        """What it came to."""
        worst = None if self.unended else max(self.recoveries, default=None)
        faults = dict(sorted(verdict.summary.faults.items()))
        found = verdict.violations
        counts = [counted(found, rules) for rules in (LOST, TWICE, LATE)]
        return Result(
            scenario=self.scenario,
            faults=faults,
            jobs=verdict.summary.enqueued,
            lost=counts[0],
            twice=counts[1],
            late=counts[2],
            other=len(found) - sum(counts),
            recovered=None if worst is None else round(worst, 2),
            within=self.within,
        )


def recovery(history: Sequence[AnyEvent], since: int, of: int) -> float | None:
    """Seconds from a time (ns) to the first outcome of a job that was first asked for after `of`.

    Who repeats an idempotency key is told of a job that may be over long since.
    """
    asked: dict[str, int] = {}
    for one in history:
        if isinstance(one, EnqueueCalled | EnqueueReturned):
            asked.setdefault(one.job, one.at)
    ends = (
        one.at
        for one in history
        if isinstance(one, Settled)
        and one.accepted
        and one.outcome.terminal
        and asked.get(one.job, 0) >= of
    )
    first = min(ends, default=None)
    return None if first is None else (first - since) / 1e9


def counted(violations: Iterable[Violation], rules: Iterable[Rule]) -> int:
    """How many violations are of these rules."""
    broken = broken_rules(violations)
    return sum(broken[rule] for rule in rules)


def everybody(site: Site) -> Sequence[Role]:
    """Two workers, producers, and the services."""
    return site.worker(processes=2), site.producer(), site.steady_producer(), site.services()


@asynccontextmanager
async def drill(
    scenario: str,
    site: Site,
    size: Size,
    *,
    within: float,
    roles: Callable[[Site], Sequence[Role]] = everybody,
) -> AsyncIterator[Drill]:
    """Let jobs of all kinds flow; on leaving, all of them are over, and the run is judged.

    Whatever goes wrong, what came of it until then is written down first.
    """
    site = size.at(site)
    async with AsyncExitStack() as stack:
        fleet = await stack.enter_async_context(site.fleet(*roles(site)))
        going = Drill(scenario, site, size, within, fleet)
        stack.push_async_callback(judge, going)
        try:
            await going.flow()
            yield going
            await going.drain()
        except BaseException:
            going.unended = True
            raise
    result, page = await judge(going)
    assert result.met if size.timed else result.sound, f"{result}\n{page}"


async def judge(going: Drill) -> tuple[Result, str]:
    """Write the result down, whatever went wrong; returns it with the checker's page."""
    async with asyncio.timeout(PATIENCE):
        verdict = await going.verdict()
    result = going.result(verdict)
    keep(result, going.size.results)
    return result, str(verdict)


def keep(result: Result, folder: Path | None) -> None:
    """Write a result into a file of its own, if results are wanted."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        name = result.scenario.replace(" ", "-")
        (folder / f"{name}.json").write_bytes(msgspec.json.encode(result))
