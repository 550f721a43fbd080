"""Whether the lane is this ledger's own, and what to do at once if it is not.

A lane's keys carry the identity of its ledger, so that databases which share a server do not meet.
But a copy of a database has the same identity, and a restored one goes back in time. Each finds in
its lane what it has never done itself (`LaneView.owns`).
"""

import logging

from headrace.model.lane_view import LaneView, Mode, short
from headrace.ports.lane import Lane
from headrace.ports.lane_ledger import LaneLedger

_log = logging.getLogger("headrace.engine")


async def recognise(ledger: LaneLedger, lane: Lane) -> LaneView:
    """How the lane is; a strange one gives out nothing more for this ledger.

    The ledger passes the strange epoch before anybody touches the lane: whoever still works under
    what was before is refused from then on. A relay finds out whose the lane is
    (relay/stranger.py).

    Raises:
        LaneUnavailable: the lane cannot be asked.
    """
    while True:
        asked = await ledger.view()
        lane.belong_to(asked.ledger)
        seen = await lane.seen()
        view = await ledger.view()  # after the lane: no mark of ours is younger than this
        if view.ledger != asked.ledger:
            continue
        if seen is None or view.mode is Mode.DIRECT or view.owns(seen):
            return view
        if view.mode is Mode.REBUILD and view.epoch > seen.epoch:
            return view
        _log.warning(
            "the lane %s tells of what this database never did (epoch %d, here %d): the database "
            "was restored, or it is a copy; the lane is built anew",
            short(view.ledger),
            seen.epoch,
            view.epoch,
        )
        await ledger.switch(view.epoch, Mode.REBUILD, held=False, above=seen.epoch)
