"""A process that looks after the jobs of a database and runs none."""

import asyncio
import logging

from headrace.config import Settings
from headrace.connect import connect
from headrace.relay.services import services
from headrace.service import running
from headrace.supervisor.signals import draining

_log = logging.getLogger("headrace.supervisor")


async def run_relay(settings: Settings) -> None:
    """Run the services that workers run beside their jobs, until SIGTERM or SIGINT.

    Raises:
        ConfigError: the URL of the database is missing.
        LedgerUnavailable: it cannot be reached.
        SchemaError: the schema is missing, older than the code, or too new for it.
        RuntimeError: a service ended by a defect; the process should be replaced.
    """
    engine = connect(settings)
    await engine.start()
    try:
        ended = asyncio.Event()
        defects: list[BaseException] = []

        def fail(defect: BaseException) -> None:
            defects.append(defect)
            ended.set()

        lease = settings.lease.total_seconds()
        with draining(ended.set):
            async with running(services(engine, lease=lease, failed=fail)):
                lane = "with a lane" if settings.redis_url else "without a lane"
                _log.info("the relay is ready, %s", lane)
                await ended.wait()
                _log.info("the relay ends")
    finally:
        await engine.stop()
    if defects:
        raise RuntimeError(f"the relay ended: {defects[0]}") from defects[0]
