"""What runs in one worker process: the application, its worker and the services beside it."""

import asyncio
import logging
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from headrace.app import Headrace
from headrace.engines.ledgered import LedgeredEngine
from headrace.errors import ConfigError
from headrace.model.lane_view import Mode
from headrace.ports.engine import Engine
from headrace.ports.lane import grace_of
from headrace.relay.services import services
from headrace.service import running
from headrace.supervisor.signals import draining
from headrace.worker.worker import GRACE, Worker

_log = logging.getLogger("headrace.supervisor")


async def run_node(
    app: Headrace,
    queues: Mapping[str, int],
    *,
    burst: bool = False,
    supervised: bool = False,
    grace: float = GRACE,
) -> None:
    """Work until SIGTERM or SIGINT, or in a burst until nothing is due.

    Args:
        app: the application.
        queues: concurrency by queue.
        burst: end when nothing is due and nothing runs.
        supervised: also drain when the standard input ends: the supervisor is gone.
        grace: seconds that running jobs get at the end.

    Raises:
        ConfigError: a burst is to run jobs that a lane gives out, and there is none.
        RuntimeError: a job was stuck past its second timeout; the process should be replaced.
    """
    async with app, app.living():
        lease = app.settings.lease.total_seconds()
        worker = Worker(app, queues, grace=grace)
        beside = services(
            app.engine, lambda: worker.id, worker.hurry, lease=lease, failed=worker.fail
        )
        async with running(beside):
            await app.schedules.retire()
            with draining(worker.finish):
                _say_what_is_missing(app.engine, burst=burst)
                await _say_what_waits(app.engine, list(queues), lease, burst=burst)
                watch = asyncio.create_task(_orphaned(worker)) if supervised else None
                try:
                    await worker.run(burst=burst)
                finally:
                    if watch is not None:
                        watch.cancel()


def _say_what_is_missing(engine: Engine, *, burst: bool) -> None:
    """A worker that stays may get its lane yet, by `headrace lane off`; a burst would never end."""
    if not isinstance(engine, LedgeredEngine) or engine.lane is not None:
        return
    if engine.view.mode is not Mode.DIRECT:
        missing = (
            "this worker runs nothing: a lane gives out the jobs of this database, but no redis_url"
            " is configured here; set HEADRACE_REDIS_URL to the lane's server and start it again,"
            " or run `headrace lane off` to do without a lane"
        )
        if burst:
            raise ConfigError(missing)
        _log.error(missing)


async def _say_what_waits(
    engine: Engine, queues: Sequence[str], lease: float, *, burst: bool
) -> None:
    """A worker that does nothing for twenty seconds after a switch must not look broken."""
    if not isinstance(engine, LedgeredEngine) or engine.view.calm:
        return
    if await engine.due(queues):
        why = "switched off" if engine.view.mode is Mode.DIRECT else "built anew"
        longest = max(lease, await engine.ledger.lanes.longest_lease())
        until = datetime.now().astimezone() + timedelta(seconds=grace_of(longest))
        _log.warning(
            "due jobs from before the lane was %s wait until its leases are over, at about %s%s",
            why,
            f"{until:%H:%M:%S}",
            "; this burst ends after them" if burst else "",
        )


async def _orphaned(worker: Worker) -> None:
    """A supervisor holds our standard input open; its end means that the supervisor is dead."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()
    worker.finish()
