"""What the handlers of all worker processes wrote down: the number and the start of each job."""

import asyncio
import mmap
import time
from pathlib import Path
from typing import NamedTuple

_POLL = 0.004  # seconds


class Mark(NamedTuple):
    """The start of a job.

    Attributes:
        at: nanoseconds of CLOCK_MONOTONIC.
        number: of the job.
    """

    at: int
    number: int


class Marks:
    """The files of marks in a folder, one a worker process.

    A file holds unsigned 64-bit integers: the number of marks, a free field, then the number and
    the start of each job.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._views: dict[str, memoryview] = {}

    def count(self) -> int:
        """Jobs that have begun."""
        for path in self.folder.glob("*.marks"):
            if path.name not in self._views and path.stat().st_size > 0:
                with path.open("rb") as file:
                    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                self._views[path.name] = memoryview(mapped).cast("Q")
        return sum(view[0] for view in self._views.values())

    async def reach(self, count: int, within: float) -> bool:
        """Wait until so many jobs have begun; False where the time, in seconds, is over first."""
        end = time.monotonic() + within
        while self.count() < count:
            if time.monotonic() > end:
                return False
            await asyncio.sleep(_POLL)  # other processes write; there is nothing to wait on
        return True

    def all(self) -> list[Mark]:
        """What was marked so far, in order of time."""
        self.count()
        return sorted(mark for view in self._views.values() for mark in _marks(view))

    def clear(self) -> None:
        """Forget all; no worker process may be alive."""
        self._views.clear()
        for path in self.folder.glob("*.marks"):
            path.unlink()


def _marks(view: memoryview) -> list[Mark]:
    end = 2 + 2 * view[0]
    return [Mark(at, number) for number, at in zip(view[2:end:2], view[3:end:2], strict=True)]


def rate_between(starts: list[int], first: int, last: int) -> float:
    """Jobs a second from the `first` to the `last` of these ordered starts.

    Raises:
        ValueError: there are not two jobs between which to measure.
    """
    last = min(last, len(starts) - 1)
    if last <= first:
        raise ValueError(f"{len(starts)} jobs ran, which is too few to measure a rate")
    return (last - first) / max(starts[last] - starts[first], 1) * 1e9
