"""What embedded servers need that have just been started, before anybody uses them."""

import socket

from headrace.embedded import Urls
from headrace.embedded.alive import is_alive
from headrace.ledger.lane_ledger import PostgresLaneLedger
from headrace.ledger.migrate import migrate
from headrace.ledger.queries import Queries
from headrace.model.lane_view import Mode


async def make_ready(urls: Urls) -> None:
    """Bring the schema up to date, and forget the lane of the servers' last life.

    That lane ended with its server. Where no worker can still hold anything of it nobody need wait
    until its leases are over, and it is no fault that it is gone: the first worker builds another.
    """
    await migrate(urls.database_url)
    async with Queries(urls.database_url) as queries:
        ledger = PostgresLaneLedger(queries)
        view = await ledger.view()
        if (view.mode is Mode.DIRECT and view.calm) or await _somebody_may_work(queries):
            return
        forgotten = await ledger.switch(view.epoch, Mode.DIRECT, held=view.held)
        if forgotten is not None:
            await ledger.calm(forgotten.epoch)


async def _somebody_may_work(queries: Queries) -> bool:
    """Whether the process of a worker lives that may hold what the lane gave out."""
    workers = await queries.fetch("recent_workers")
    return any(one["host"] != socket.gethostname() or is_alive(one["pid"]) for one in workers)
