"""A process of a shop, run by whichever headrace it finds: `shop.py worker|producer VERSION`.

Only public names, and the node that `headrace worker` runs: what earlier versions have, too.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import asyncpg

from headrace import Context, Headrace, Retry, Snooze
from headrace.supervisor.node import run_node

QUEUE = "orders"
PACE = 0.01  # seconds: nobody is to be flooded
RAN = "INSERT INTO ran (number, seller, worker) VALUES ($1, $2, $3)"
PUT_OFF = "INSERT INTO put_off VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING true"
WAYS = 8


def build(version: str) -> Headrace:
    """The application; its jobs know who sold them, and say who ran them."""
    app = Headrace("shop")

    @app.task(queue=QUEUE)
    async def pack(ctx: Context, number: int, seller: str) -> str:
        async with ctx.transaction() as tx:
            await tx.execute(RAN, number, seller, version)
        return version

    @app.task(queue=QUEUE)
    async def pay(ctx: Context, number: int, seller: str) -> str:
        """Not at the first attempt."""
        if ctx.attempt == 1:
            raise Retry("the till is closed", after="50ms")
        async with ctx.transaction() as tx:
            await tx.execute(RAN, number, seller, version)
        return version

    @app.task(queue=QUEUE)
    async def wait(ctx: Context, number: int, seller: str) -> str:
        """Put off once."""
        async with connected() as own:
            first = await own.fetchval(PUT_OFF, number, seller)
        if first:
            raise Snooze("50ms")
        async with ctx.transaction() as tx:
            await tx.execute(RAN, number, seller, version)
        return version

    @app.task(queue=QUEUE, max_attempts=1, rerun_on_crash=True)
    async def ring(ctx: Context, number: int, seller: str) -> str:
        """Its only attempt is claimed in the ledger, whatever gives out the jobs."""
        async with ctx.transaction() as tx:
            await tx.execute(RAN, number, seller, version)
        return version

    @app.task(queue=QUEUE, timeout="60s")
    async def linger(number: int) -> None:
        """Stay in the hands of the worker, who says so, until it is let go or killed."""
        async with connected() as own:
            await own.execute("INSERT INTO held VALUES ($1, $2)", number, version)
            while not await own.fetchval("SELECT EXISTS (SELECT FROM let_go)"):
                await asyncio.sleep(PACE)

    return app


@asynccontextmanager
async def connected() -> AsyncIterator[asyncpg.Connection]:
    """A connection of the application's own."""
    connection = await asyncpg.connect(os.environ["HEADRACE_DATABASE_URL"])
    try:
        yield connection
    finally:
        await connection.close()


async def sell(app: Headrace, seller: str) -> None:
    """Enqueue in every way until SIGTERM, and write down each number that is durable."""
    ending = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    async with connected() as connection, app:
        for number in count():
            await order(app, connection, number, seller)
            await connection.execute("INSERT INTO sold VALUES ($1, $2)", number, seller)
            if ending.is_set():
                return
            await asyncio.sleep(PACE)


async def order(app: Headrace, connection: asyncpg.Connection, number: int, seller: str) -> None:
    """One job, in one of the ways that there are."""
    tasks = app.tasks
    pack = tasks["pack"]
    match number % WAYS:
        case 1:
            await tasks["pay"].enqueue(number, seller)
        case 2:
            await tasks["wait"].enqueue(number, seller)
        case 3:
            await tasks["ring"].enqueue(number, seller)
        case 4:
            await pack.options(delay="100ms", priority="high").enqueue(number, seller)
        case 5:
            key = pack.options(idempotency_key=f"{seller} {number}")
            first = await key.enqueue(number, seller)
            assert (await key.enqueue(number, seller)).id == first.id
        case 6:
            async with connection.transaction():
                await pack.enqueue(number, seller, tx=connection)
        case 7:
            document = {"task": "pack", "args": {"number": number, "seller": seller}}
            await connection.fetchval("SELECT headrace_enqueue($1)", json.dumps(document))
        case _:
            await pack.enqueue(number, seller)


if __name__ == "__main__":
    part, version = sys.argv[1:]
    shop = build(version)
    if part == "worker":
        asyncio.run(run_node(shop, {QUEUE: 10}))
    else:
        asyncio.run(sell(shop, version))
