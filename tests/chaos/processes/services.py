"""A process with the services alone, that repair what workers leave; ends with 0 on SIGTERM."""

import asyncio

from chaos.processes.patience import until_the_ledger_is_there
from chaos.processes.stage import set_stage
from chaos.processes.tasks import build
from headrace.relay.services import services
from headrace.supervisor.signals import draining


async def main() -> None:
    app = build(set_stage().middle)
    asked = asyncio.Event()

    async def serve() -> None:
        async with app:
            loops = services(app.engine, lease=app.settings.lease.total_seconds())
            for loop in loops:
                loop.start()
            with draining(asked.set):
                await asked.wait()
            await asyncio.gather(*(loop.stop() for loop in loops))

    await until_the_ledger_is_there(serve)
