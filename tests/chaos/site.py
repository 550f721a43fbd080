"""Where a chaos run happens: the servers, the folder of its history, its processes, its verdict."""

import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from pathlib import Path

import asyncpg

from chaos import crashpoints, holdpoints, lanewatch, twins
from chaos.checker import LedgerJob, Violation, check
from chaos.customer import Customer
from chaos.events import AnyEvent, CrashPointReached, LeaseLost, StartChecked
from chaos.faultplan import until
from chaos.fleet import Fleet, Member, Process, Role, execute
from chaos.history import History, events_of, now_ns, read_history
from chaos.nursery import Nursery, in_its_own_image
from chaos.processes.tasks import QUEUE, Middle, build
from chaos.report import Summary, render, summarise
from chaos.story import stories
from headrace.model.state import Stored

SHORT_LEASE = 1.5  # seconds
STEADY = "steady producer"
WAYS = ("one by one", "concurrently", "many", "transaction", "keyed")
EFFECTS = "CREATE TABLE effect (job uuid, gen_of_run int)"
WITH_EFFECTS = ("effect", "effect_then_failure")
STORED = """
    SELECT j.id::text AS job, j.state, j.max_attempts, j.settled_gen, j.xmin::text::bigint AS xid,
           CASE WHEN current_setting('track_commit_timestamp') = 'on'
                THEN extract(epoch FROM pg_xact_commit_timestamp(j.xmin))::float8
           END AS committed,
           j.task, j.payload ->> 'order' AS request,
           (SELECT count(*) FROM effect e WHERE e.job = j.id) AS effects
    FROM headrace.job j
"""
OWNED = "SELECT count(*) = {n} FROM headrace.job WHERE owner IS NOT NULL"
ALL_OVER = "SELECT NOT EXISTS (SELECT FROM headrace.job WHERE state < 2)"


class Mode(StrEnum):
    """Which way jobs go from the ledger to the workers."""

    DIRECT = "direct"
    HYBRID = "hybrid"


@dataclass(frozen=True)
class Site:
    """One run's surroundings.

    Attributes:
        folder: holds the folders ``history`` and ``output``, and the gate of held processes.
        database_url: as the runner sees it.
        redis_url: of the lane's server, as the runner sees it; None in direct mode.
        environment: what every process of the run gets.
        lease: of its workers, in seconds; the product's own where it is None.
        nursery: what forks its processes, where runs go on side by side: only one may be entered.
    """

    folder: Path
    database_url: str
    redis_url: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    lease: float | None = SHORT_LEASE
    nursery: Nursery | None = None

    @property
    def history(self) -> Path:
        """Where each process appends to a file of its own."""
        return self.folder / "history"

    @property
    def gate(self) -> Path:
        """The file that lets held processes go on."""
        return self.folder / "gate"

    async def prepare(self) -> None:
        """Make the folders, the table of effects and the lane, where the schema is already."""
        for folder in (self.history, self.folder / "output"):
            folder.mkdir()
        async with self.connection() as connection:
            await connection.execute(EFFECTS)
        if self.redis_url is not None:
            await lanewatch.open_lane(self.database_url, self.redis_url)

    @property
    def mode(self) -> Mode:
        """Which way its jobs go."""
        return Mode.DIRECT if self.redis_url is None else Mode.HYBRID

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection of the runner."""
        connection = await asyncpg.connect(self.database_url)
        try:
            yield connection
        finally:
            await connection.close()

    def behind(self, url: str) -> "Site":
        """The same run, whose processes reach PostgreSQL by another URL, such as a proxy's."""
        return replace(self, environment={**self.environment, "HEADRACE_DATABASE_URL": url})

    def behind_lane(self, url: str) -> "Site":
        """The same run, whose processes reach the lane's server by another URL."""
        return replace(self, environment={**self.environment, "HEADRACE_REDIS_URL": url})

    def broken(self, twin: str) -> "Site":
        """The same run with every process wearing a twin."""
        return replace(self, environment={**self.environment, twins.VARIABLE: twin})

    def worker(
        self,
        name: str = "worker",
        *,
        queues: Mapping[str, int] | None = None,
        processes: int = 1,
        prefetch: int = 0,
        crash: str = "",
        hold: str = "",
        alone: bool = False,
    ) -> Role:
        """Processes that run a node each, `alone` without the services beside it."""
        more = {
            "HEADRACE_CHAOS_QUEUES": json.dumps(queues or {QUEUE: 10}),
            "HEADRACE_CHAOS_PREFETCH": str(prefetch or ""),
            "HEADRACE_CHAOS_ALONE": "yes" if alone else "",
            holdpoints.VARIABLE: hold,
        }
        return self._role(name, "worker", processes, crash, more)

    def producer(
        self,
        *,
        processes: int = 1,
        crash: str = "",
        hold: str = "",
        live: int = 300,
        ways: Sequence[str] = WAYS,
        pace: float = 0.0,
        name: str = "producer",
    ) -> Role:
        """Processes that enqueue in some ways until SIGTERM, while no more jobs are live.

        Every `pace` seconds, or as fast as they can.
        """
        more = {
            holdpoints.VARIABLE: hold,
            "HEADRACE_CHAOS_LIVE": str(live),
            "HEADRACE_CHAOS_WAYS": ",".join(ways),
            "HEADRACE_CHAOS_PACE": str(pace),
        }
        return self._role(name, "producer", processes, crash, more)

    def steady_producer(self) -> Role:
        """A process that goes on enqueueing, a few jobs at a time, however many are live."""
        return self.producer(live=1_000_000, ways=("one by one",), pace=0.2, name=STEADY)

    def services(
        self, *, processes: int = 1, crash: str = "", hold: str = "", name: str = "services"
    ) -> Role:
        """Processes that repair what workers leave."""
        return self._role(name, "services", processes, crash, {holdpoints.VARIABLE: hold})

    def _role(
        self,
        name: str,
        module: str,
        processes: int,
        crash: str,
        more: Mapping[str, str],
    ) -> Role:
        environment = {
            "HEADRACE_DATABASE_URL": self.database_url,
            "HEADRACE_REDIS_URL": self.redis_url or "",
            "HEADRACE_CHAOS_FOLDER": str(self.history),
            crashpoints.VARIABLE: crash,
            holdpoints.GATE_VARIABLE: str(self.gate),
            **({} if self.lease is None else {"HEADRACE_LEASE": f"{self.lease}s"}),
            **self.environment,
            **more,
        }
        return Role(name, [f"chaos.processes.{module}"], processes, environment)

    @asynccontextmanager
    async def fleet(self, *roles: Role) -> AsyncIterator[Fleet]:
        """Run processes of these roles."""
        async with AsyncExitStack() as stack:
            history = stack.enter_context(History(self.history))
            if self.redis_url is not None:
                told = lanewatch.epochs_told(self.database_url, history)
                await stack.enter_async_context(told)
            nursery = self.nursery
            if nursery is None:
                nursery = await stack.enter_async_context(Nursery())
            fork = partial(_fork, nursery)
            fleet = Fleet(roles, history, self.folder / "output", fork)
            yield await stack.enter_async_context(fleet)

    @asynccontextmanager
    async def customer(self, *queues: str) -> AsyncIterator[Customer]:
        """The runner itself as a producer, of jobs of one kind on a queue."""
        app = build(Middle(), queues, self.database_url, self.redis_url)
        with History(self.history) as history:
            async with app:
                yield Customer(app, history)

    def busy(self, member: Member) -> bool:
        """Whether a process is past its start and, if it has jobs to do, at work."""
        files = sorted(
            # By age: in a long run the numbers of processes come again.
            self.history.glob(f"*-{member.pid}.jsonl"),
            key=lambda file: int(file.name.partition("-")[0]),
        )
        return bool(files) and (member.role.name == "services" or files[-1].stat().st_size > 0)

    def events(self) -> list[AnyEvent]:
        """What was written down so far, in the order of time."""
        return read_history(self.history)

    async def quiet(self, within: float) -> None:
        """Wait until every job is over."""
        await self.ledger_says(ALL_OVER, within)

    async def seen(self, kind: type[AnyEvent], *, pid: int | None = None, since: int = 0) -> None:
        """Wait until the history has an event of a kind, of one process or of any, since a time."""

        async def there() -> bool:
            told = events_of(kind, self.history)
            return any(pid in {None, one.pid} and one.at >= since for one in told)

        await until(there, within=20, what=f"{kind.__name__} of process {pid}")

    async def started(self, runs: int, within: float = 20.0) -> None:
        """Wait until so many runs have started."""

        async def enough() -> bool:
            return len(events_of(StartChecked, self.history)) >= runs

        await until(enough, within=within, what=f"{runs} starts")

    async def given_out(self, jobs: int) -> None:
        """Wait until so many jobs are in workers' hands."""
        if self.redis_url is None:
            return await self.ledger_says(OWNED.format(n=jobs))
        await lanewatch.until_leased(self.redis_url, jobs)
        return None

    async def lane_forgets_workers(self) -> None:
        """Wait until no worker has a lease in the lane, or had one that is not yet looked into."""
        assert self.redis_url is not None
        await lanewatch.until_no_worker(self.redis_url)

    async def flush(self) -> None:
        """Let the lane lose its data."""
        assert self.redis_url is not None
        with History(self.history) as history:
            history.append(LeaseLost(cause="flush"))
        await lanewatch.flush(self.redis_url)

    async def trust(self) -> None:
        """End the lane's time of suspicion, as a minute would: from now on flags count."""
        assert self.redis_url is not None
        await lanewatch.trust(self.redis_url)

    async def lane_has(self, entries: int, within: float = 20.0) -> None:
        """Wait until the lane has so many entries; it may have been voted out meanwhile."""
        assert self.redis_url is not None
        await self.ledger_says("SELECT mode = 'hybrid' FROM headrace.lane", within)
        await lanewatch.until_carried(self.redis_url, entries, within)

    async def ledger_says(self, sql: str, within: float = 20.0) -> None:
        """Wait until a query of the ledger gives a true value."""
        async with self.connection() as connection:

            async def said() -> bool:
                return bool(await connection.fetchval(sql))

            await until(said, within=within, what=sql)

    async def reached(self, *points: str, within: float = 60.0) -> None:
        """Wait until a process has died at each of these points."""

        async def all_reached() -> bool:
            seen = {event.name for event in events_of(CrashPointReached, self.history)}
            return seen >= set(points)

        try:
            await until(all_reached, within=within, what="all of them")
        except TimeoutError as exc:
            reached = {event.name for event in events_of(CrashPointReached, self.history)}
            missed = ", ".join(sorted(set(points) - reached))
            raise TimeoutError(f"nobody died at {missed} within {within:g} s") from exc

    async def verdict(self) -> "Verdict":
        """Check the history against the ledger as they are now."""
        ledger = await self.read_ledger()
        events = self.events()
        return Verdict.of(events, ledger)

    async def read_ledger(self) -> list[LedgerJob]:
        """Return every row."""
        async with self.connection() as connection:
            rows = await connection.fetch(STORED)
        since_boot = now_ns() - time.time_ns()
        return [
            LedgerJob(
                job=row["job"],
                state=Stored(row["state"]).name.lower(),
                max_attempts=row["max_attempts"],
                settled_gen=row["settled_gen"],
                settled_xid=row["xid"],
                committed_at=row["committed"] and int(row["committed"] * 1e9) + since_boot,
                effects=row["effects"] if row["task"] in WITH_EFFECTS else None,
                request=row["request"],
            )
            for row in rows
        ]


@dataclass(frozen=True)
class Verdict:
    """What a run came to."""

    violations: Sequence[Violation]
    summary: Summary
    ledger: Sequence[LedgerJob] = field(repr=False)
    stories: Sequence[str]

    @classmethod
    def of(cls, events: Sequence[AnyEvent], ledger: Sequence[LedgerJob]) -> "Verdict":
        """Check a history against the ledger; of jobs that broke a rule, say all that is told."""
        found = check(events, ledger)
        return cls(found, summarise(events, ledger), ledger, stories(events, found))

    def __str__(self) -> str:
        return "\n\n".join([render(self.summary, self.violations), *self.stories])


async def _fork(nursery: Nursery, role: Role, output: Path) -> Process:
    (module,) = role.command
    if "LD_PRELOAD" in role.environment:  # which a fork would not heed
        return await execute(replace(role, command=in_its_own_image(module)), output)
    return await nursery.launch(module, role.environment, output)
