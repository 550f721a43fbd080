"""What attempts tell while they run: noted at once, written in batches."""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from headrace.errors import LedgerError
from headrace.model.job import Delivery
from headrace.model.redaction import Redaction
from headrace.model.told import LINES, Telling, as_line
from headrace.ports.herald import Herald

_log = logging.getLogger("headrace.worker")
_EVERY = 1.0
_SOON = 0.1
_PATIENCE = 5.0
_BATCH = 500


class Notes:
    """What one attempt has to tell and has not been written; made when it first tells something.

    Args:
        delivery: the job.
        teller: who writes it.
    """

    def __init__(self, delivery: Delivery, teller: "Teller") -> None:
        self._delivery = delivery
        self._teller = teller
        self._lock = threading.Lock()  # a handler may tell from its threads
        self._progress: tuple[float, float, str] | None = None
        self._written: tuple[float, str] | None = None
        self._lines: deque[tuple[float, str]] = deque()
        self._dropped = 0
        self._due = False

    def progress(self, fraction: float, message: str) -> None:
        """Note how far the work is, in place of what was noted before."""
        with self._lock:
            self._progress = (time.monotonic(), fraction, self._teller.line(message))
        self._call()

    def log(self, text: object) -> None:
        """Note a line; the oldest goes where there are too many."""
        with self._lock:
            self._lines.append((time.monotonic(), self._teller.line(text)))
            if len(self._lines) > LINES:
                self._lines.popleft()
                self._dropped += 1
        self._call()

    def _call(self) -> None:
        if not self._due:
            self._due = True
            self._teller.note(self)

    def take(self) -> Telling | None:
        """What is to be written, once."""
        with self._lock:
            self._due = False
            progress, self._progress = self._progress, None
            lines, self._lines = self._lines, deque()
            dropped, self._dropped = self._dropped, 0
        if progress is None and not lines and not dropped:
            return None
        if progress is not None:
            self._written = progress[1:]
        now = time.monotonic()
        more = {
            "attempt": self._delivery.attempt,
            "progress": None if progress is None else [now - progress[0], *progress[1:]],
            "log": [[now - at, text] for at, text in lines],
            "dropped": dropped,
        }
        return Telling(
            self._delivery.id, self._delivery.gen, msgspec.json.encode(more).decode(), len(lines)
        )

    def proclaim(self, herald: Herald) -> None:
        """Tell who hears of the progress that was written last, once."""
        if self._written is not None:
            herald.progressed(self._delivery, *self._written)
            self._written = None

    def lost(self, lines: int) -> None:
        """So many lines could not be written."""
        with self._lock:
            self._dropped += lines


class Teller:
    """Writes what attempts tell, all of them in a statement, once a second at most.

    Args:
        tell: writes it.
        redaction: hides secrets in it.
        herald: tells of progress that is written.
    """

    def __init__(
        self,
        tell: Callable[[Sequence[Telling]], Awaitable[None]],
        redaction: Redaction,
        herald: Herald | None = None,
    ) -> None:
        self.line: Callable[[object], str] = lambda text: as_line(redaction.clean(str(text)))
        self._tell = tell
        self._herald = herald
        self._loop = asyncio.get_running_loop()
        self._noted: set[Notes] = set()
        self._writing = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._flight: asyncio.Task[None] | None = None
        self._written_at = -_EVERY

    def note(self, notes: Notes) -> None:
        """There is something to write; called from any thread."""
        self._loop.call_soon_threadsafe(self._noted_here, notes)

    async def finish(self, notes: Notes) -> None:
        """Write the last of an attempt, before its outcome: afterwards it is refused.

        A ledger that is away is not waited for: its outcome counts for more.
        """
        self._noted.add(notes)
        try:
            async with asyncio.timeout(_PATIENCE), self._writing:
                if notes in self._noted:  # else it went with another's
                    await self._write()
        except TimeoutError:
            _log.warning("what attempts tell is lost: the ledger does not answer")

    def close(self) -> None:
        """Write nothing more."""
        if self._timer is not None:
            self._timer.cancel()

    def _noted_here(self, notes: Notes) -> None:
        self._noted.add(notes)
        if self._timer is None:
            pause = max(_SOON, self._written_at + _EVERY - time.monotonic())
            self._timer = self._loop.call_later(pause, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        self._flight = asyncio.create_task(self._write_noted())

    async def _write_noted(self) -> None:
        async with self._writing:
            await self._write()

    async def _write(self) -> None:
        noted, self._noted = list(self._noted), set()
        taken = [(notes, notes.take()) for notes in noted]
        told = [(notes, telling) for notes, telling in taken if telling is not None]
        self._written_at = time.monotonic()
        for start in range(0, len(told), _BATCH):
            batch = told[start : start + _BATCH]
            try:
                await self._tell([telling for _, telling in batch])
            except LedgerError as exc:
                _log.warning("what %d attempts tell could not be written: %s", len(batch), exc)
                for notes, telling in batch:
                    notes.lost(telling.lines)
            else:
                if self._herald is not None and self._herald.open:
                    for notes, _ in batch:
                        notes.proclaim(self._herald)
