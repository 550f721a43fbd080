"""What ended before an event loop was blocked is written by the thread that sees it blocked."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from headrace.model.job import Ending, Token
from headrace.ports.engine import Engine
from headrace.worker.settler import Settler, Unwritten

_log = logging.getLogger("headrace.worker")


class Rescue:
    """Writes the outcomes that a blocked loop cannot write, since its process may be ended.

    The loop may have sent some of them, and sends all once it turns again: whoever comes second is
    told that they were accepted (A7). A handler whose transaction is open has no outcome yet.

    Args:
        unwritten: asked, from the thread, for the outcomes that the loop has not seen written.
    """

    def __init__(self, unwritten: Callable[[], Sequence[Unwritten]]) -> None:
        self._unwritten = unwritten
        self._written: set[Token] = set()

    async def write(self, engine: Engine, seconds: float) -> None:
        """Write what is there and was not written by an earlier call, within this time."""
        unwritten = self._unwritten()
        self._written &= {ending.delivery.token for _, ending in unwritten}
        settler = Settler(engine, self._on_written, _ignore_what_is_logged)
        for worker, ending in unwritten:
            if ending.delivery.token not in self._written:
                settler.add(worker, *ending)
        try:
            async with asyncio.timeout(seconds):
                await settler.drain()
        except TimeoutError:
            settler.abandon()
            _log.warning("outcomes of a blocked event loop could not be written in time")

    def _on_written(self, endings: Sequence[Ending], _accepted: set[Token]) -> None:
        self._written.update(ending.delivery.token for ending in endings)


def _ignore_what_is_logged(_defect: BaseException) -> None:
    """The loop's own settler meets it again, if the process lives."""
