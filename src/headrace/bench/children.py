"""Worker processes as the measurements see them."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec

from headrace.bench.order import Order, Report


class Child:
    """A worker process that is ready to begin."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def begin(self) -> None:
        """Let it work."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")

    async def line(self) -> str:
        """The next line that it says.

        Raises:
            RuntimeError: it ended instead; what it logged stands above.
        """
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a worker process ended with {await self._process.wait()}")
        return line.decode().strip()

    async def report(self) -> Report:
        """Wait for its end."""
        return msgspec.json.decode(await self.line(), type=Report)

    def drain(self) -> None:
        """Ask it to end."""
        self._process.terminate()

    async def kill(self) -> None:
        """End it at once, if it still runs."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


@asynccontextmanager
async def child(order: Order) -> AsyncIterator[Child]:
    """Start a worker process and wait until it is ready; it never outlives the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "headrace.bench.child",
        msgspec.json.encode(order).decode(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    one = Child(process)
    try:
        await one.line()
        yield one
    finally:
        await one.kill()


@asynccontextmanager
async def children(order: Order, n: int) -> AsyncIterator[list[Child]]:
    """Several at once."""
    async with AsyncExitStack() as stack:
        entering = (stack.enter_async_context(child(order)) for _ in range(n))
        yield [await one for one in entering]
