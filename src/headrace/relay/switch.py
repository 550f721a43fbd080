"""Switching the lane off and on by command (protocol A4)."""

import logging

from headrace.errors import LaneError, LaneUnavailable
from headrace.model.lane_view import LaneView, Mode
from headrace.ports.lane import Lane
from headrace.ports.lane_ledger import LaneLedger

_log = logging.getLogger("headrace.relay")


async def switch_off(ledger: LaneLedger, lane: Lane | None) -> LaneView:
    """Give out jobs from the ledger, and keep it so; returns how the lane is now.

    The lane is told to refuse what came before, so that new jobs run at once. If it cannot be
    told, all jobs wait until nobody can hold any of it, a lease and a beat later.
    """
    view = await _switch(ledger, Mode.DIRECT, held=True)
    if lane is None:
        return view
    try:
        await lane.open()
        lane.belong_to(view.ledger)
        seen = await lane.seen()
        view = await ledger.view()
        if seen is not None and not view.owns(seen):
            raise LaneUnavailable("it is of another history of this database, which may use it")
        await lane.open_epoch(view.epoch)
        await lane.mark(view.epoch, view.mark)
    except LaneError as exc:
        _log.warning("the lane cannot be told (%s); jobs run again when its leases are over", exc)
        return view
    return await ledger.fence(view.epoch, Mode.DIRECT) or view


async def switch_on(ledger: LaneLedger, lane: Lane | None) -> LaneView:
    """Let a lane give out jobs; a relay beside the workers builds it.

    Raises:
        LaneUnavailable: none is configured, or it cannot be reached.
        LaneUnsafe: its server may throw entries away.
    """
    if lane is None:
        raise LaneUnavailable(
            "no lane is configured; set HEADRACE_REDIS_URL or give --redis-url for this "
            "command and for every process of the application"
        )
    await lane.open()
    view = await ledger.view()
    if view.mode is not Mode.DIRECT:
        return view
    return await _switch(ledger, Mode.REBUILD, held=False)


async def _switch(ledger: LaneLedger, mode: Mode, *, held: bool) -> LaneView:
    while True:
        view = await ledger.view()
        if view.mode is mode and view.held == held:
            return view
        switched = await ledger.switch(view.epoch, mode, held=held)
        if switched is not None:
            return switched
