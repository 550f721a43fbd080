"""The background services that every worker process runs beside its worker."""

from headrace.ports.ledger import Ledger
from headrace.relay.reaper import LEASE, Reaper
from headrace.service import Loop


def services(ledger: Ledger, *, lease: float = LEASE) -> list[Loop]:
    """The loops for a ledger; any number of processes may run them."""
    return [Reaper(ledger, lease=lease).loop]
