"""Where a chaos run happens: the servers, the folder of its history, its processes, its verdict."""

import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

import asyncpg

from chaos import crashpoints, holdpoints, twins
from chaos.checker import LedgerJob, Violation, check
from chaos.events import AnyEvent, HoldReached
from chaos.faultplan import until
from chaos.fleet import Fleet, Member, Role
from chaos.history import History, read_history
from chaos.report import Summary, render, summarise
from headrace.ledger.migrate import migrate
from headrace.model.state import Stored

SHORT_LEASE = 1.5  # seconds
QUEUE = "work"
EFFECTS = "CREATE TABLE effect (job uuid, gen_of_run int)"
WITH_EFFECTS = ("effect", "effect_then_failure")
STORED = """
    SELECT j.id::text AS job, j.state, j.max_attempts, j.settled_gen, j.xmin::text::bigint AS xid,
           j.task, j.payload ->> 'order' AS request,
           (SELECT count(*) FROM effect e WHERE e.job = j.id) AS effects
    FROM headrace.job j
"""
LIVE = "SELECT count(*) FROM headrace.job WHERE state < 2"


class Mode(StrEnum):
    """Which way jobs go from the ledger to the workers."""

    DIRECT = "direct"


@dataclass(frozen=True)
class Site:
    """One run's surroundings.

    Attributes:
        folder: holds the folders ``history`` and ``output``, and the gate of held processes.
        database_url: as the runner sees it.
        environment: what every process of the run gets.
        lease: of its workers, in seconds.
    """

    folder: Path
    database_url: str
    environment: Mapping[str, str] = field(default_factory=dict)
    lease: float = SHORT_LEASE

    @property
    def history(self) -> Path:
        """Where each process appends to a file of its own."""
        return self.folder / "history"

    @property
    def gate(self) -> Path:
        """The file that lets held processes go on."""
        return self.folder / "gate"

    async def prepare(self) -> None:
        """Make the folders, the schema and the table of effects."""
        for folder in (self.history, self.folder / "output"):
            folder.mkdir()
        await migrate(self.database_url)
        async with self.connection() as connection:
            await connection.execute(EFFECTS)

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
    ) -> Role:
        """Processes that run a node each."""
        more = {
            "HEADRACE_CHAOS_QUEUES": json.dumps(queues or {QUEUE: 10}),
            "HEADRACE_CHAOS_PREFETCH": str(prefetch or ""),
            holdpoints.VARIABLE: hold,
        }
        return self._role(name, "worker", processes, crash, more)

    def producer(self, *, processes: int = 1, crash: str = "", name: str = "producer") -> Role:
        """Processes that enqueue in every way until SIGTERM."""
        return self._role(name, "producer", processes, crash)

    def services(self, *, processes: int = 1, crash: str = "", name: str = "services") -> Role:
        """Processes that repair what workers leave."""
        return self._role(name, "services", processes, crash)

    def _role(
        self,
        name: str,
        module: str,
        processes: int,
        crash: str,
        more: Mapping[str, str] | None = None,
    ) -> Role:
        environment = {
            "HEADRACE_DATABASE_URL": self.database_url,
            "HEADRACE_CHAOS_FOLDER": str(self.history),
            "HEADRACE_CHAOS_LEASE": str(self.lease),
            "HEADRACE_LEASE": f"{self.lease}s",
            "PYTHONPATH": str(Path(__file__).parents[1]),
            crashpoints.VARIABLE: crash,
            holdpoints.GATE_VARIABLE: str(self.gate),
            **self.environment,
            **(more or {}),
        }
        command = [sys.executable, "-m", f"chaos.processes.{module}"]
        return Role(name, command, processes, environment)

    @asynccontextmanager
    async def fleet(self, *roles: Role) -> AsyncIterator[Fleet]:
        """Run processes of these roles."""
        with History(self.history) as history:
            async with Fleet(roles, history, self.folder / "output") as fleet:
                yield fleet

    def busy(self, member: Member) -> bool:
        """Whether a process is past its start and, if it has jobs to do, at work."""
        files = list(self.history.glob(f"*-{member.pid}.jsonl"))
        return bool(files) and (member.role.name == "services" or files[-1].stat().st_size > 0)

    def events(self) -> list[AnyEvent]:
        """What was written down so far, in the order of time."""
        return read_history(self.history)

    async def quiet(self, within: float) -> None:
        """Wait until every job is over."""
        async with self.connection() as connection:

            async def over() -> bool:
                return await connection.fetchval(LIVE) == 0

            await until(over, within=within, what="every job over")

    async def held(self, name: str, within: float = 15.0) -> None:
        """Wait until a process is held at its point."""

        async def reached() -> bool:
            return any(isinstance(e, HoldReached) and e.name == name for e in self.events())

        await until(reached, within=within, what=f"a process held at {name}")

    async def verdict(self) -> "Verdict":
        """Check the history against the ledger as they are now."""
        ledger = await self.read_ledger()
        events = self.events()
        return Verdict(check(events, ledger), summarise(events, ledger), ledger)

    async def read_ledger(self) -> list[LedgerJob]:
        """Return every row."""
        async with self.connection() as connection:
            rows = await connection.fetch(STORED)
        return [
            LedgerJob(
                job=row["job"],
                state=Stored(row["state"]).name.lower(),
                max_attempts=row["max_attempts"],
                settled_gen=row["settled_gen"],
                settled_xid=row["xid"],
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
    ledger: Sequence[LedgerJob]

    def __str__(self) -> str:
        return render(self.summary, self.violations)
