"""The processes of a peer as the harness sees them: a producer that takes orders, and workers."""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks.peers.catalogue import Peer
from benchmarks.peers.environments import Environment
from benchmarks.peers.processes import cpu_seconds, end_family

_ANSWER = 30.0  # seconds beyond what an order may take by itself
_LINE = 64 << 20  # bytes


class PeerFailed(Exception):
    """A process of a peer ended, or told an error, or did not answer."""


class Producer:
    """A driver that takes orders."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log

    async def order(self, do: str, *, within: float = 0.0, **arguments: object) -> Any:  # noqa: ANN401 - JSON
        """Send an order and return its answer; `within` is what it may take, in seconds.

        Raises:
            PeerFailed: it told an error, ended or did not answer in time.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = json.dumps({"do": do, **arguments}) + "\n"
        try:
            self._process.stdin.write(order.encode())
            async with asyncio.timeout(within + _ANSWER):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise PeerFailed(f"{do} did not answer in {within + _ANSWER:.0f} s") from None
        except ConnectionError:
            line = b""
        if not line:
            raise PeerFailed(f"the driver ended while it did {do}: {last_line(self._log)}")
        answer = json.loads(line)
        if "error" in answer:
            raise PeerFailed(f"{do}: {answer['error'].splitlines()[0][:300]}")
        return answer["ok"]


class Workers:
    """Worker processes of one peer."""

    def __init__(self, processes: list[subprocess.Popen[bytes]], log: Path) -> None:
        self._processes = processes
        self._log = log

    def cpu(self) -> float:
        """Seconds that they have used, with their children."""
        return cpu_seconds(one.pid for one in self._processes)

    def check(self) -> None:
        """Nothing, while all are alive.

        Raises:
            PeerFailed: one has ended.
        """
        for one in self._processes:
            if one.poll() is not None:
                raise PeerFailed(f"a worker ended with {one.returncode}: {last_line(self._log)}")

    def kill(self) -> None:
        """SIGKILL, to them and their children."""
        for one in self._processes:
            if one.poll() is None:
                end_family(one.pid)
            one.wait()
            if one.stdin is not None:
                one.stdin.close()


@asynccontextmanager
async def producer(
    peer: Peer, environment: Environment, variables: Mapping[str, str], log: Path
) -> AsyncIterator[Producer]:
    """A driver that takes orders; it never outlives the block."""
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            *environment.command,
            "produce",
            env=_variables(peer, environment, variables),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            limit=_LINE,
        )
    try:
        yield Producer(process, log)
    finally:
        if process.returncode is None:
            end_family(process.pid)
        await process.wait()


@asynccontextmanager
async def workers(
    peer: Peer,
    environment: Environment,
    variables: Mapping[str, str],
    log: Path,
    *,
    number: int = 1,
    concurrency: int,
) -> AsyncIterator[Workers]:
    """So many worker processes of a peer; they never outlive the block."""
    command = [*environment.command, "work", str(concurrency)]
    told = _variables(peer, environment, variables)
    crew = Workers([_start(command, told, log) for _ in range(number)], log)
    try:
        yield crew
    finally:
        crew.kill()


def _start(command: list[str], told: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as errors:
        # A worker ends when its standard input does, so that none outlives the harness.
        return subprocess.Popen(
            command, env=told, stdin=subprocess.PIPE, stdout=errors, stderr=errors
        )


def last_line(log: Path) -> str:
    """What a process said last."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else "it said nothing"


def _variables(
    peer: Peer, environment: Environment, variables: Mapping[str, str]
) -> dict[str, str]:
    return {**os.environ, **environment.variables, **variables, "PEER_VARIANT": peer.variant}
