"""Which system calls a worker process makes, counted by strace from outside."""

import asyncio
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path


class Tracer:
    """strace on one process with all its threads, until it is stopped.

    Args:
        pid: of the process.
        file: where the counts go.
    """

    def __init__(self, pid: int, file: Path) -> None:
        self._pid = pid
        self._file = file
        self._process: asyncio.subprocess.Process | None = None

    @staticmethod
    def is_here() -> bool:
        """Whether this machine has strace, which no wheel brings."""
        return shutil.which("strace") is not None

    async def start(self) -> None:
        """Begin to count; returns once strace holds the process."""
        self._process = await asyncio.create_subprocess_exec(
            *("strace", "-f", "-c", "-p", str(self._pid), "-o", self._file),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        assert self._process.stderr is not None
        await self._process.stderr.readline()  # "strace: Process N attached"

    async def counts(self) -> dict[str, int]:
        """End; the calls by name, the most frequent first."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGINT)
        await self._process.communicate()
        return counts(self._file.read_text())


def counts(table: str) -> dict[str, int]:
    """The calls in a summary as strace writes it: `% seconds usecs/call calls [errors] name`."""
    rows = [line.split() for line in table.splitlines()]
    found = {row[-1]: int(row[3]) for row in rows if len(row) >= 5 and row[3].isdigit()}
    found.pop("total", None)
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def share(found: Mapping[str, int], jobs: int) -> dict[str, float]:
    """The calls by name, a thousand jobs."""
    return {name: calls / jobs * 1e3 for name, calls in found.items()}
