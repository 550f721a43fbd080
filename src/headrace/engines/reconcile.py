"""Making the lane agree with the ledger about some jobs: the one function of all repair."""

from collections.abc import Mapping
from uuid import UUID

from headrace.engines.write_through import HORIZON
from headrace.model.entry import Ended, LaneEntry
from headrace.model.lane_view import LaneView
from headrace.ports.lane import Lane
from headrace.ports.lane_ledger import Standing

_ANY = 2**31 - 1


async def reconcile(
    lane: Lane, view: LaneView, known: Mapping[UUID, int], standing: Mapping[UUID, Standing]
) -> None:
    """Put the generations that the lane does not have, and drop what it should not have.

    Args:
        lane: where.
        view: whose epoch the lane must be at.
        known: the jobs, each with the generation that the lane is known to have; 0 if none is.
        standing: how the ledger has them. A row with the lane's generation is left alone.
    """
    entries: list[LaneEntry] = []
    over: list[Ended] = []
    for job_id, gen in known.items():
        now = standing.get(job_id)
        if now is None:
            over.append(Ended(job_id, gen or _ANY))
        elif now.entry is None or (now.gen > gen and now.entry.delay > HORIZON):
            over.append(Ended(job_id, max(gen, now.gen)))
        elif now.gen != gen:
            entries.append(now.entry)
            if now.gen < gen:
                # Generations only rise: the ledger was restored, and never had this one (the lane
                # model's twin `newer_than_the_ledger_is_kept` never runs the job without this).
                over.append(Ended(job_id, gen))
    if over:
        await lane.drop(view.epoch, over)
    if entries:
        await lane.put(view.epoch, entries)
