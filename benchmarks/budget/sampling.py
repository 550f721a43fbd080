"""In which stage a worker process spends its time, by looking at its stacks from outside."""

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

# The first part whose file is in a stack has the sample; the tasks of a part begin in its file.
STAGES: Mapping[str, tuple[str, ...]] = {
    "relay: sweep, walk, refill": ("headrace/relay/",),
    "take: fetch, verify, charge": ("headrace/worker/fetcher.py",),
    "settle: outcomes, acks": ("headrace/worker/settler.py",),
    "run: decode, handler, outcome": ("headrace/worker/executor.py",),
    "beat and other services": ("headrace/worker/", "headrace/service.py", "headrace/supervisor/"),
}
LOOP = "event loop, sockets, wire formats in C"
_RATE = 500


class Sampler:
    """py-spy on one process, until it is stopped.

    Args:
        pid: of the process.
        file: where the stacks go.
    """

    def __init__(self, pid: int, file: Path) -> None:
        self._pid = pid
        self._file = file
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Begin to look."""
        spy = Path(sys.executable).with_name("py-spy")
        self._process = await asyncio.create_subprocess_exec(
            spy,
            *("record", "--pid", str(self._pid), "--rate", str(_RATE), "--format", "raw"),
            *("--duration", "600", "--output", self._file, "--gil"),  # who waits holds no lock
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )

    async def shares(self) -> dict[str, float]:
        """End; the share of each stage, which are 1 together."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGINT)
        await self._process.wait()
        return shares(self._file.read_text())


def shares(raw: str) -> dict[str, float]:
    """The share of each stage in stacks as py-spy writes them: `frame;frame COUNT` a line."""
    found: Counter[str] = Counter()
    for line in raw.splitlines():
        stack, _, count = line.rpartition(" ")
        found[_stage(stack)] += int(count)
    return {stage: found[stage] / found.total() for stage in (*STAGES, LOOP)}


def _stage(stack: str) -> str:
    return next((one for one, files in STAGES.items() if any(f in stack for f in files)), LOOP)
