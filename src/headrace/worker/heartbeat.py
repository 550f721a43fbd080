"""The heartbeat, in its own thread: a blocked event loop keeps its lease and is noticed."""

import asyncio
import logging
import sys
import threading
import traceback
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from headrace.errors import HeadraceError
from headrace.model.job import Beat, Delivery, Token
from headrace.ports.clock import boottime
from headrace.ports.engine import Engine
from headrace.worker.culprit import Culprit
from headrace.worker.end_process import end_process
from headrace.worker.hand import Hand
from headrace.worker.rescue import Rescue

BEAT = 5.0
_log = logging.getLogger("headrace.worker")
_TICK = 0.5
_BLOCKED = 2.0
_PATIENCE = 5.0
_HURRIED = 0.1


class Heartbeat:
    """Beats for the worker and watches its event loop.

    Args:
        engine: makes an engine for the thread: an engine belongs to one event loop.
        hand: the worker's current hand.
        beaten: told, on the worker's loop, of each reply to a beat.
        blocked: asked, from the thread, while the worker's loop is blocked, who does it. That job
            is given up once it is overdue; all others keep their lease. Once it is stuck the
            process is ended: a blocked loop cannot drain, and others wait for what it holds.
        rescue: writes, from the thread, the outcomes that a blocked loop cannot write.
        failed: called, on the worker's loop, when a defect ends the beats.
    """

    def __init__(  # noqa: PLR0913 - it stands where the thread and the loop of a worker meet
        self,
        *,
        engine: Callable[[], Engine],
        hand: Callable[[], Hand],
        beaten: Callable[[Beat], None],
        blocked: Callable[[], Culprit],
        rescue: Rescue,
        failed: Callable[[BaseException], None],
        interval: float = BEAT,
    ) -> None:
        self._engine = engine
        self._hand = hand
        self._beaten = beaten
        self._blocked = blocked
        self._rescue = rescue
        self._failed = failed
        self._interval = interval
        self._stop = threading.Event()
        self._roused = threading.Event()
        self._hurried = False
        self._pulse = boottime()
        self._blamed = False
        self._connected = False
        self._forfeited: Token | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0

    def start(self) -> None:
        """Begin to beat for the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._tick()
        self._thread = threading.Thread(target=self._main, name="headrace-heartbeat", daemon=True)
        self._thread.start()

    def hurry(self) -> None:
        """Beat at once: others wait until all have said that they heed how the lane is now."""
        self._hurried = True
        self._roused.set()

    def abandon(self) -> None:
        """Beat no more, without waiting for the beat under way."""
        self._stop.set()
        self._roused.set()

    async def stop(self) -> None:
        """Beat no more. A beat that the ledger does not answer is not waited for long."""
        self.abandon()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, _PATIENCE)

    def _tick(self) -> None:
        """Runs on the worker's loop: proves that it turns."""
        self._pulse = boottime()
        if not self._stop.is_set():
            assert self._loop is not None
            self._loop.call_later(_TICK, self._tick)

    def _main(self) -> None:
        try:
            asyncio.run(self._beat_on())
        except Exception as exc:  # noqa: BLE001 - a thread cannot raise: the worker ends with it
            _log.exception("the heartbeat ended by a defect")
            assert self._loop is not None
            self._loop.call_soon_threadsafe(self._failed, exc)

    async def _beat_on(self) -> None:
        engine = self._engine()
        due = boottime() + self._interval
        while not self._stop.is_set():
            tick = _HURRIED if self._hurried else min(_TICK, self._interval / 4)
            await asyncio.to_thread(self._roused.wait, tick)
            self._roused.clear()
            culprit = self._look_at_loop()
            if culprit is not None:
                await self._let_go(engine)
                await self._write_outcomes(engine, self._interval / 2)  # a beat waits behind it
            if culprit is not None and culprit.stuck:
                await self._end_process(engine, culprit)
            overdue = self._to_give_up(culprit)
            if self._hurried:
                self._hurried, due = False, boottime()
            if (overdue is None and boottime() < due) or self._stop.is_set():
                continue
            try:
                await self._connect(engine)
                if boottime() >= due:
                    await self._beat(engine)
                    due = boottime() + self._interval
                if overdue is not None:
                    await self._forfeit(engine, overdue)
            except HeadraceError as exc:
                _log.warning("no heartbeat: %s", exc)
                due = boottime() + self._interval / 5
        if self._connected:
            await engine.stop()

    async def _let_go(self, engine: Engine) -> None:
        """Give back what has not started, which a blocked loop would keep from idle workers."""
        hand = self._hand()
        hand.forgo()
        if unstarted := hand.unstarted():
            try:
                await self._connect(engine)
                await engine.release(hand.worker, unstarted)
            except HeadraceError as exc:
                _log.warning("%d jobs go back with a later beat: %s", len(unstarted), exc)

    async def _write_outcomes(self, engine: Engine, seconds: float) -> None:
        try:
            await self._connect(engine)
        except HeadraceError as exc:
            _log.warning("outcomes of a blocked event loop are not written: %s", exc)
        else:
            await self._rescue.write(engine, seconds)

    async def _connect(self, engine: Engine) -> None:
        if not self._connected:
            await engine.start()
            self._connected = True

    async def _end_process(self, engine: Engine, culprit: Culprit) -> NoReturn:
        """End a process that cannot end by itself; its job is given up, if that can be told."""
        overdue = self._to_give_up(culprit)
        if overdue is not None:
            try:
                async with asyncio.timeout(_PATIENCE):
                    await self._connect(engine)
                    await self._forfeit(engine, overdue)
            except (HeadraceError, TimeoutError) as exc:
                _log.warning("job %s could not be given up: %s", overdue.id, exc)
        await self._write_outcomes(engine, _PATIENCE)
        end_process(f"{culprit.name} has blocked this process past a second timeout; ending it")

    async def _beat(self, engine: Engine) -> None:
        hand = self._hand()
        held, answered, heeds = hand.names()
        sent = boottime()
        beating = engine.beat(hand.worker, held, answered, heeds, hand.busy)
        beat = await self._unless_hurried(beating)
        if beat is None:
            return
        hand.beaten(beat, sent)
        if not beat.said:
            self._hurried = True  # others wait for it
        if not beat.alive:
            _log.error("worker %s was reaped: it was silent for a whole lease", hand.worker)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._beaten, beat)

    async def _unless_hurried(self, beating: Coroutine[Any, Any, Beat]) -> Beat | None:
        """The reply; None if it did not come and others wait for a new beat, which can say more.

        The lane may hang that this one waits for, and may not give out the jobs any more.
        """
        task = asyncio.create_task(beating)
        while not (await asyncio.wait({task}, timeout=_HURRIED))[0]:
            if self._hurried:
                task.cancel()
        return None if task.cancelled() else task.result()

    async def _forfeit(self, engine: Engine, overdue: Delivery) -> None:
        if await engine.forfeit(self._hand().worker, overdue):
            self._forfeited = overdue.token
            _log.error("job %s is given up: others may run it", overdue.id)

    def _look_at_loop(self) -> Culprit | None:
        """Who blocks it, if anybody does."""
        late = boottime() - self._pulse - _TICK
        if late < _BLOCKED:
            self._blamed = False
            return None
        culprit = self._blocked()
        if not self._blamed:
            self._blamed = True
            frame = sys._current_frames().get(self._loop_thread)  # noqa: SLF001 - no public way
            stack = "".join(traceback.format_stack(frame, 8)) if frame else ""
            _log.error(
                "the event loop is blocked since %.1f s by %s; make blocking code a sync task\n%s",
                late,
                culprit.name,
                stack,
            )
        return culprit

    def _to_give_up(self, culprit: Culprit | None) -> Delivery | None:
        """The job that blocks the loop past its own timeout, until it is given up."""
        overdue = None if culprit is None else culprit.overdue
        return None if overdue is None or overdue.token == self._forfeited else overdue
