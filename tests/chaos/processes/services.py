"""A process with the services alone, that repair what workers leave; ends with 0 on SIGTERM."""

import asyncio

from chaos.processes.patience import until_the_ledger_is_there
from chaos.processes.stage import set_stage
from chaos.processes.tasks import build
from headrace.relay.services import services
from headrace.service import running
from headrace.supervisor.signals import draining


async def main() -> None:
    app = build(set_stage().middle)
    asked = asyncio.Event()

    async def serve() -> None:
        async with app:
            beside = services(app.engine, lease=app.settings.lease.total_seconds())
            with draining(asked.set):
                async with running(beside):
                    await asked.wait()

    await until_the_ledger_is_there(serve)
