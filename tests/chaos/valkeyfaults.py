"""Faults of the lane's server, for random runs."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable

from chaos import lanewatch
from chaos.events import FaultInjected, LeaseLost
from chaos.faultplan import Fault, call
from chaos.fleet import Fleet
from chaos.processes.patience import until_the_ledger_is_there
from chaos.site import Site
from headrace.embedded import EmbeddedValkey
from headrace.lanes.redis.scripts import script

SCRIPTS = ("put", "take", "beat", "reassert", "ack", "release", "lapsed", "expired", "drop", "open")
REPLIES = tuple(script(name).digest for name in SCRIPTS)
FROZEN = 2.5  # seconds: longer than a call waits


def faults_of_valkey(server: EmbeddedValkey, site: Site) -> list[Fault]:
    """It loses its data; it is killed and started again; it is stopped for some seconds."""

    async def restart() -> None:
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)

    async def freeze() -> None:
        assert server.pid is not None
        os.kill(server.pid, signal.SIGSTOP)
        await asyncio.sleep(FROZEN)  # the fault is its length
        os.kill(server.pid, signal.SIGCONT)

    async def flush() -> None:
        await lanewatch.flush(server.url)

    return [
        _loss("flush", flush),
        _loss("restart lane", restart),
        call("freeze lane", freeze),
        call("minute", site.trust, weight=3),
    ]


def faults_of_the_lane(site: Site) -> list[Fault]:
    """It loses its data, or is switched off and on again; none in direct mode."""
    url = site.redis_url
    if url is None:
        return []

    async def switch() -> None:
        await until_the_ledger_is_there(lambda: lanewatch.lane_off_and_on(site.database_url, url))

    async def flush() -> None:
        await lanewatch.flush(url)

    return [_loss("flush", flush), call("lane off and on", switch, weight=2)]


def _loss(name: str, step: Callable[[], Awaitable[None]]) -> Fault:
    """A fault with which all leases in the lane are gone."""

    async def strike(fleet: Fleet, _draw: int) -> None:
        fleet.history.append(LeaseLost(cause=name))
        fleet.history.append(FaultInjected(kind=name))
        await step()

    return Fault(name, weight=1, strike=strike)
