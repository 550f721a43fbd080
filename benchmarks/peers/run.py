"""A whole run: environments, rounds, backlogs, recovery."""

import asyncio
import math
import os
import shutil
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.peers.backlog import measure_backlog, prefill_seconds
from benchmarks.peers.catalogue import Peer
from benchmarks.peers.conversation import PeerFailed, producer
from benchmarks.peers.environments import Environment, NotInstalled, make_environment
from benchmarks.peers.figures import Results
from benchmarks.peers.marks import Marks
from benchmarks.peers.measures import REPEATED, Measure
from benchmarks.peers.plan import Plan, rotated
from benchmarks.peers.progress import Progress
from benchmarks.peers.recovery import measure_recovery
from benchmarks.peers.report import Report
from benchmarks.peers.servers import SERVER_FAULTS, Servers, running_servers
from benchmarks.peers.stand import Stand
from headrace.bench.machine import describe_machine

_INSTALL = "installation"
_LONGEST = 120.0  # seconds of one measurement, beside what its plan allows
# What one peer does to itself or to a server must not end the run of the others.
_FAULTS = (PeerFailed, *SERVER_FAULTS)


@dataclass(slots=True)
class Run:
    """A run and what it found out.

    Attributes:
        plan: sizes.
        peers: who takes part.
        node: the version of Node for those that need it.
        scratch: folder of environments, servers and logs.
        progress: tells how far it is.
        results: samples and failures.
        facts: what each driver says of its peer.
        versions: what is installed, by peer.
        servers: versions of both servers.
        ready: environments that need not be made, by peer.
        rounds: repetitions that were done.
        seconds: how long it took.
    """

    plan: Plan
    peers: Sequence[Peer]
    node: str
    scratch: Path
    progress: Progress
    results: Results = field(default_factory=Results)
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    servers: dict[str, str] = field(default_factory=dict)
    ready: dict[str, Environment] = field(default_factory=dict)
    rounds: int = 0
    seconds: float = 0.0
    _began: float = field(default_factory=time.monotonic)
    _load: float = field(default_factory=lambda: round(os.getloadavg()[0], 2))

    async def measure(self) -> None:
        """Do all of it."""
        try:
            await self._measure()
        finally:
            self.seconds = self._elapsed

    async def _measure(self) -> None:
        memory = Path("/dev/shm")  # where marks are written faster than to a disk
        with ExitStack() as stack:
            shared = stack.enter_context(
                TemporaryDirectory(dir=memory if memory.is_dir() else None)
            )
            async with running_servers(self.scratch / "servers") as servers:
                self.servers = servers.versions
                stands = await self._stands(servers, Path(shared))
                await self._rounds(stands)
                await self._recovery(stands)
                await self._backlogs(stands)
        shutil.rmtree(self.scratch / "servers")  # gigabytes of what is of no use

    def report(self) -> Report:
        """What was found out, with the machine and the versions."""
        machine = describe_machine()
        run: dict[str, str | int | float] = {
            "date": datetime.now(UTC).date().isoformat(),
            **{name: machine[name] for name in ("processor", "cores", "memory_gb", "system")},
            **self.servers,
            "size_of_run": self.plan.name,
            "rounds": self.rounds,
            "minutes": round(self.seconds / 60, 1),
            "load_before": self._load,
            "load_after": machine["load_before"],
            "jobs_at_once_a_process": self.plan.concurrency,
        }
        return Report(self.plan, self.peers, self.results, self.facts, self.versions, run)

    @property
    def _repeated(self) -> list[tuple[str, Measure]]:
        return [one for one in REPEATED.items() if not self.plan.only or one[0] in self.plan.only]

    @property
    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    async def _stands(self, servers: Servers, marks: Path) -> list[Stand]:
        stands = []
        for peer in self.peers:
            self.progress.say("environments", peer.title)
            try:
                stands.append(await self._stand(peer, servers, marks / peer.name))
            except (NotInstalled, *_FAULTS) as exc:
                self.results.fail(peer.name, _INSTALL, str(exc))
                self.progress.complain(f"{peer.title} is left out: {exc}")
        self.progress.plan(self.plan, len(stands))
        return stands

    async def _stand(self, peer: Peer, servers: Servers, marks: Path) -> Stand:
        environment = self.ready.get(peer.name) or await make_environment(
            peer, self.node, self.scratch
        )
        self.versions[peer.name] = environment.versions
        marks.mkdir()
        log = self.scratch / "logs" / f"{peer.name}.log"
        log.parent.mkdir(exist_ok=True)
        log.write_bytes(b"")
        stand = Stand(peer, environment, servers, Marks(marks), log, self.plan)
        await servers.make_template(peer)
        async with producer(peer, environment, stand.variables(), log) as one:
            self.facts[peer.name] = await one.order("facts")
            stand.bulk = self.facts[peer.name]["bulk"]
            await one.order("install", within=30.0)
        await servers.keep_template(peer)
        return stand

    async def _rounds(self, stands: Sequence[Stand]) -> None:
        for number in range(self.plan.rounds):
            began = self._elapsed
            # One measurement of all peers after the other: a noisy minute hits all of them.
            for turn, (name, measure) in enumerate(self._repeated):
                for stand in rotated(stands, number + turn):
                    self.progress.say(f"round {number + 1}", f"{name}, {stand.peer.title}")
                    await self._try(stand, name, measure)
                    self.progress.done(name)
            self.rounds += 1
            if self._elapsed + (self._elapsed - began) > self.plan.rounds_limit:
                break

    async def _recovery(self, stands: Sequence[Stand]) -> None:
        if self.plan.recovery:
            self.progress.say("kill -9", "all peers")
            await measure_recovery(stands, self.results, self.plan.recovery)
            self.progress.done("recovery")
        for stand in stands:
            stand.redis = ""

    async def _backlogs(self, stands: Sequence[Stand]) -> None:
        for size in self.plan.backlogs:
            # The cheap ones first, where there may not be time for all.
            for stand in sorted(stands, key=lambda one: prefill_seconds(one, size)):
                self.progress.say("backlog", f"{size:,}, {stand.peer.title}")
                await self._backlog(stand, size)
                self.progress.done(f"backlog_{size}")

    async def _backlog(self, stand: Stand, size: int) -> None:
        name = f"backlog_{size}"
        seconds = prefill_seconds(stand, size)
        if seconds == math.inf:
            self.results.fail(stand.peer.name, name, "nothing was seen of how fast jobs are made")
        elif seconds > self.plan.prefill:
            reason = f"prefilling would take {seconds:,.0f} s"
            self.results.fail(stand.peer.name, name, reason)
        elif self._elapsed + seconds + self.plan.window > self.plan.limit:
            reason = (
                f"prefilling would take {seconds:,.0f} s, more than is left of the hour: --full"
            )
            self.results.fail(stand.peer.name, name, reason)
        else:
            await self._try(stand, name, lambda stand: measure_backlog(stand, size))

    async def _try(self, stand: Stand, name: str, measure: Measure) -> None:
        if self.results.failed(stand.peer.name, name):
            return
        try:
            async with asyncio.timeout(_LONGEST + self.plan.prefill + self.plan.window):
                self.results.add(stand.peer.name, await measure(stand))
        except _FAULTS as exc:
            reason = str(exc) or type(exc).__name__
            self.results.fail(stand.peer.name, name, reason)
            self.progress.complain(f"{stand.peer.title}, {name}: {reason}")
