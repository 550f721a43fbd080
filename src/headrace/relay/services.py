"""The background services that every worker process runs beside its worker."""

from collections.abc import Callable
from uuid import UUID

from headrace.engines.ledgered import LedgeredEngine
from headrace.ports.engine import Engine
from headrace.relay.canceller import Canceller
from headrace.relay.keeper import Keeper
from headrace.relay.reaper import LEASE, Reaper
from headrace.relay.relay import Relay
from headrace.relay.scheduler import Scheduler
from headrace.relay.unblocker import Unblocker
from headrace.relay.voter import Voter
from headrace.service import Loop


def services(
    engine: Engine,
    worker: Callable[[], UUID] | None = None,
    switched: Callable[[], None] = lambda: None,
    *,
    lease: float = LEASE,
    failed: Callable[[BaseException], None] | None = None,
) -> list[Loop]:
    """The loops for an engine; any number of processes may run them.

    Args:
        engine: started.
        worker: the identity of the worker beside which they run, if they do: it votes.
        switched: called when that worker should beat, and look for jobs, at once.
        lease: seconds: how often they look, and the least they wait for workers of a lost lane.
            Workers are judged by their own.
        failed: called with a defect, which ends its loop: the process should not go on without.
    """
    if not isinstance(engine, LedgeredEngine):
        return []
    ledger = engine.ledger
    voters = [] if worker is None else [Voter(engine, worker, switched, lease=lease, failed=failed)]
    return [
        *(voter.loop for voter in voters),
        Reaper(ledger, lease=lease, failed=failed).loop,
        Relay(ledger.lanes, engine.lane, lease=lease, failed=failed).loop,
        Canceller(engine, interval=min(lease, LEASE) / 3, failed=failed).loop,
        Keeper(ledger, failed=failed).loop,
        Unblocker(engine, failed=failed).loop,
        Scheduler(engine, lease=lease, failed=failed).loop,
    ]
