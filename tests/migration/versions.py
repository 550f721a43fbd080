"""Two versions of headrace at work on one database, each in processes of its own."""

import asyncio
import os
import signal
import sys
import tarfile
from asyncio.subprocess import Process
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
EARLIER = HERE / "headrace-schema-14.tar.xz"
"""The source of the version before, as it was, but for what no worker and no producer imports."""
MIGRATE = """
import asyncio, os
from headrace.ledger.migrate import migrate
asyncio.run(migrate(os.environ["HEADRACE_DATABASE_URL"]))
"""


def unpack(folder: Path) -> Path:
    """Where Python finds the version before."""
    with tarfile.open(EARLIER) as archive:
        archive.extractall(folder, filter="data")
    return folder


@dataclass
class Shop:
    """Its processes, killed when it is left.

    Attributes:
        environment: of each.
        earlier: where Python finds the version before.
    """

    environment: Mapping[str, str]
    earlier: Path
    processes: list[Process] = field(default_factory=list)

    async def open(self, part: str, version: str) -> Process:
        """Start a worker or a producer of the version "earlier" or "this"."""
        return await self._start(version, str(HERE / "shop.py"), part, version)

    async def migrate_by_the_earlier(self) -> None:
        """Make the tables as the version before did."""
        process = await self._start("earlier", "-c", MIGRATE)
        assert await process.wait() == 0

    async def kill(self, process: Process) -> None:
        """No farewell."""
        process.kill()
        await process.wait()

    async def retire(self, process: Process) -> None:
        """It ends by itself, in good order."""
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0

    async def close(self) -> None:
        """Nothing of it is left."""
        for process in self.processes:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _start(self, version: str, *arguments: str) -> Process:
        path = {"PYTHONPATH": str(self.earlier)} if version == "earlier" else {}
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, env={**os.environ, **self.environment, **path}
        )
        self.processes.append(process)
        return process
