"""The background services that every worker process runs beside its worker."""

from headrace.engines.ledgered import LedgeredEngine
from headrace.ports.engine import Engine
from headrace.relay.keeper import Keeper
from headrace.relay.reaper import LEASE, Reaper
from headrace.service import Loop


def services(engine: Engine, *, lease: float = LEASE) -> list[Loop]:
    """The loops for an engine; any number of processes may run them."""
    if not isinstance(engine, LedgeredEngine):
        return []
    return [Reaper(engine.ledger, lease=lease).loop, Keeper(engine.ledger).loop]
