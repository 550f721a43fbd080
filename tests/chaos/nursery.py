"""Chaos processes forked from one that has imported everything already."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

TESTS = Path(__file__).parents[1]


class Child:
    """A forked process; the nursery tells of its end."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @property
    def returncode(self) -> int | None:
        """The exit status, negative for a signal, or None while it lives."""
        return self.ended.result() if self.ended.done() else None

    async def wait(self) -> int:
        """Wait for its end."""
        return await asyncio.shield(self.ended)

    def send_signal(self, number: int) -> None:
        """Send it a signal; the news of its end may be under way already."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it by SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)


class Nursery:
    """Forks processes while entered; they die when it is left."""

    def __init__(self) -> None:
        self._orders = count()
        self._births: dict[int, asyncio.Future[Child]] = {}
        self._children: dict[int, Child] = {}

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "chaos.processes.nursery"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(TESTS)},
        )
        assert self._process.stdout is not None
        if not await self._process.stdout.readline():
            raise RuntimeError("the nursery could not start; its error is above")
        self._listener = asyncio.create_task(self._listen(self._process.stdout))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        await self._listener

    async def launch(self, module: str, environment: Mapping[str, str], output: Path) -> Child:
        """Fork a process that runs a module of chaos.processes."""
        number = next(self._orders)
        birth: asyncio.Future[Child] = asyncio.get_running_loop().create_future()
        self._births[number] = birth
        order = {
            "order": number,
            "module": module,
            "environment": json.dumps(dict(environment)),
            "output": str(output),
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        return await birth

    async def _listen(self, told: asyncio.StreamReader) -> None:
        while line := await told.readline():
            news = json.loads(line)
            if "started" in news:
                child = self._children[news["started"]] = Child(news["started"])
                self._births.pop(news["order"]).set_result(child)
            else:
                self._children.pop(news["ended"]).ended.set_result(news["status"])
