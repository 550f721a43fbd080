"""A process with the services alone, that repair what workers leave; ends with 0 on SIGTERM."""

import asyncio
import logging

from chaos.processes.patience import until_the_ledger_is_there
from chaos.processes.stage import lease, set_stage
from chaos.processes.tasks import build
from headrace.relay.services import services
from headrace.supervisor.signals import draining


async def main() -> None:
    app = build(set_stage())
    asked = asyncio.Event()

    async def serve() -> None:
        async with app:
            loops = services(app.engine, lease=lease())
            for loop in loops:
                loop.start()
            with draining(asked.set):
                await asked.wait()
            await asyncio.gather(*(loop.stop() for loop in loops))

    await until_the_ledger_is_there(serve)


if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s %(process)d %(levelname)s %(message)s")
    asyncio.run(main())
