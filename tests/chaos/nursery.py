"""Chaos processes forked from one that has imported everything already."""

import asyncio
import atexit
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

TESTS = Path(__file__).parents[1]
MANY_LINES = 65536  # bytes
_ORDERS = count()


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
    """Forks processes while entered; all of them are dead when it is left.

    What forks them serves one nursery after the other, as long as this process lives: to start it
    takes a second of a processor.
    """

    def __init__(self) -> None:
        self._births: dict[int, asyncio.Future[Child]] = {}
        self._children: dict[int, Child] = {}
        self._heard = b""

    async def __aenter__(self) -> Self:
        mother = await asyncio.to_thread(_mother)
        assert mother.stdin is not None
        assert mother.stdout is not None
        self._asked, self._told = mother.stdin.fileno(), mother.stdout.fileno()
        asyncio.get_running_loop().add_reader(self._told, self._listen)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.gather(*self._births.values())
        left = list(self._children.values())
        for child in left:
            child.kill()
        await asyncio.gather(*(child.wait() for child in left))
        asyncio.get_running_loop().remove_reader(self._told)

    async def launch(self, module: str, environment: Mapping[str, str], output: Path) -> Child:
        """Fork a process that runs a module of chaos.processes."""
        number = next(_ORDERS)
        birth: asyncio.Future[Child] = asyncio.get_running_loop().create_future()
        self._births[number] = birth
        order = {
            "order": number,
            "module": module,
            "environment": json.dumps(dict(environment)),
            "output": str(output),
        }
        os.write(self._asked, json.dumps(order).encode() + b"\n")
        return await asyncio.shield(birth)  # it is born though nobody waits for it any more

    def _listen(self) -> None:
        told = os.read(self._told, MANY_LINES)
        if not told:
            asyncio.get_running_loop().remove_reader(self._told)
            ended = RuntimeError("what forks the chaos processes has ended; its error is above")
            for birth in self._births.values():
                birth.set_exception(ended)
            for child in self._children.values():
                child.ended.set_exception(ended)
        *lines, self._heard = (self._heard + told).split(b"\n")
        for line in lines:
            self._hear(json.loads(line))

    def _hear(self, news: Mapping[str, int]) -> None:
        if "started" in news:
            child = self._children[news["started"]] = Child(news["started"])
            self._births.pop(news["order"]).set_result(child)
        else:
            self._children.pop(news["ended"]).ended.set_result(news["status"])


def in_its_own_image(module: str) -> list[str]:
    """The command that runs a module of chaos.processes without a nursery."""
    path = f"import sys; sys.path.insert(0, {str(TESTS)!r})"
    return [sys.executable, "-c", f"{path}; import asyncio, {module} as it; asyncio.run(it.main())"]


@cache
def _mother() -> subprocess.Popen[bytes]:
    """The process that forks all chaos processes of this one; it ends when its input does."""
    mother = subprocess.Popen(
        [sys.executable, "-m", "chaos.processes.nursery"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )
    assert mother.stdout is not None
    if not mother.stdout.readline():
        raise RuntimeError("what forks the chaos processes could not start; its error is above")
    atexit.register(mother.communicate)
    return mother
