"""Short runs, each of which provokes what one rule of the lane's protocol is there for.

A scenario leaves its verdict to the caller: the product passes it, the twin without the rule fails.
Whoever must not die or be deaf while others do is a process of its own: the services here, workers
alone there.
"""

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from chaos import ledger_scenarios
from chaos.dialects import RedisDialect
from chaos.events import EnqueueReturned, HoldReached, LeaseLost, Settled, StartChecked
from chaos.faultplan import until
from chaos.history import events_of
from chaos.ledger_scenarios import FINISHED_WITHIN, JUDGED, OVER, UNFINISHED_AFTER
from chaos.processes.tasks import QUEUE
from chaos.proxy import Proxy
from chaos.site import Site
from headrace.embedded import EmbeddedValkey
from headrace.lanes.redis.scripts import script

FIRST_OVER = """
    SELECT count(*) = 60 AND bool_and(state > 1)
    FROM (SELECT state FROM headrace.job ORDER BY id LIMIT 60) AS first
"""
OVER_MANY = "SELECT count(*) >= {n} FROM headrace.job WHERE state > 1"
ANEW = "SELECT mode = 'hybrid' AND epoch > 2 FROM headrace.lane"
LONG_LEASE = 6.0  # seconds
NOTHING_STARTS_WITHIN = 3.0  # seconds: an idle worker asks every second
LOST_REPLIES = 2
UNFLAGGED = ("many",)  # what the caller's own transaction leaves goes out flagged
FEW = 5  # live jobs, so that each runs soon after its put


async def a_worker_dies_in_a_run(site: Site, _server: EmbeddedValkey) -> None:
    """A worker dies in a run; those who watch the lane live on."""
    async with site.customer() as customer:
        await customer.ask("slow", seconds=0.3)
    async with site.fleet(site.services(hold="lane.put:after:1")) as fleet:
        await site.seen(HoldReached)  # the walk has passed the job
        site.gate.touch()
        fleet.add(site.worker(crash="handler.reach:before:1", alone=True))
        await site.reached("handler.reach:before")
        with suppress(TimeoutError):
            await site.quiet(within=UNFINISHED_AFTER)


async def a_zombie_ends_after_all_is_over(site: Site, _server: EmbeddedValkey) -> None:
    """A worker is stopped in a run; another runs the job; the first goes on."""
    await ledger_scenarios.a_zombie_ends_after_all_is_over(site)


async def a_beat_overtakes_the_reply_of_a_take(site: Site, _server: EmbeddedValkey) -> None:
    """The reply of a take is under way while beats pass and another worker asks for jobs."""
    await ledger_scenarios.a_beat_overtakes_the_reply(site, hold="lanes.stale:after:1")


async def a_take_arrives_after_the_lease(site: Site, _server: EmbeddedValkey) -> None:
    """A worker sends a take, is stopped for a lease and forgotten; its take arrives, and it dies.

    Were it to live, it would give back itself what came too late.
    """
    first = site.worker("first", hold="lane.take:before:1", crash="lane.take:after:1", alone=True)
    async with site.fleet(first) as fleet:
        await site.seen(HoldReached)
        async with fleet.frozen(await fleet.pick("first", 0)):
            fleet.add(site.services())
            await site.ledger_says(JUDGED)
            await site.lane_forgets_workers()
            async with site.customer() as customer:
                await customer.ask("quick")
            site.gate.touch()
        with suppress(TimeoutError):
            await site.quiet(within=UNFINISHED_AFTER)


async def the_reply_of_a_put_is_lost(site: Site, server: EmbeddedValkey) -> None:
    """A producer's puts arrive; the connection breaks before the replies."""
    site = replace(site, lease=LONG_LEASE)
    with Proxy.before(server.url, RedisDialect) as proxy:
        producer = site.behind_lane(proxy.url).producer(live=FEW, ways=UNFLAGGED)
        async with site.fleet(producer, site.worker()) as fleet:
            await site.ledger_says(OVER_MANY.format(n=50))
            await site.trust()
            for lost in range(1, LOST_REPLIES + 1):
                trap = proxy.drop_next_reply(script("put").digest)
                await asyncio.to_thread(trap.wait, 20.0)
                await site.ledger_says(OVER_MANY.format(n=50 + 100 * lost))
            await fleet.retire("producer")
            await site.quiet(within=FINISHED_WITHIN)


async def a_put_comes_when_its_jobs_are_over(site: Site, _server: EmbeddedValkey) -> None:
    """A producer's put is under way for long; what it carries is swept and runs meanwhile."""
    site = replace(site, lease=LONG_LEASE)
    # Its first goes out flagged.
    producer = site.producer(hold="lane.put:before:2", live=FEW, ways=UNFLAGGED)
    async with site.fleet(producer, site.worker()) as fleet:
        await site.seen(HoldReached)
        await site.ledger_says(FIRST_OVER)
        await site.trust()
        site.gate.touch()
        await fleet.retire("producer")
        await site.quiet(within=FINISHED_WITHIN)
        await site.lane_has(0)


async def a_sweep_comes_when_its_job_is_over(site: Site, _server: EmbeddedValkey) -> None:
    """The relay reads a job; before its put arrives, the job is put, run and removed."""
    async with site.fleet(site.services(hold="lane.put:before:1")) as fleet:
        async with site.customer() as customer:
            await customer.ask("quick")
        await site.seen(HoldReached)
        fleet.add(site.worker("first", alone=True))
        await site.quiet(within=FINISHED_WITHIN)
        await site.lane_has(0)
        await fleet.retire("first")
        site.gate.touch()
        await site.lane_has(1)
        fleet.add(site.worker("second", alone=True))
        await site.lane_has(0)


async def a_transaction_commits_behind_the_walk(site: Site, _server: EmbeddedValkey) -> None:
    """A job's transaction is open while the walk passes the time at which the job is due."""
    async with site.customer() as customer, site.connection() as connection:
        transaction = connection.transaction()
        await transaction.start()
        # By SQL: whoever enqueues in a transaction is told of its commit, and puts the job at once.
        job = await connection.fetchval(
            "SELECT headrace_enqueue($1)", '{"task": "quick", "args": {"order": "early"}}'
        )
        await customer.ask("quick")
        async with site.fleet(site.services(hold="lane.put:after:1")) as fleet:
            await site.seen(HoldReached)
            site.gate.touch()
            await transaction.commit()
            customer.history.append(EnqueueReturned(job=str(job)))
            fleet.add(site.worker(alone=True))
            with suppress(TimeoutError):
                await site.quiet(within=UNFINISHED_AFTER)


async def the_lane_is_flushed_in_the_only_attempt(site: Site, _server: EmbeddedValkey) -> None:
    """A worker dies in the run of a job that may start once, and the lane loses its data."""
    async with site.customer() as customer:
        await customer.ask("once")
    mortal = site.worker(crash="handler.reach:before:1", alone=True)
    async with site.fleet(site.services(), mortal):
        await site.reached("handler.reach:before")
        await site.flush()
        await site.quiet(within=FINISHED_WITHIN)


async def the_lane_is_flushed_in_a_run(site: Site, _server: EmbeddedValkey) -> None:
    """The lane loses its data while a job runs; before it ends, another worker comes."""
    async with site.customer() as customer:
        await customer.ask("slow", seconds=5.0)
    busy = site.worker("first", queues={QUEUE: 1}, alone=True)
    async with site.fleet(site.services(), busy) as fleet:
        await site.seen(StartChecked)
        await site.flush()
        await site.ledger_says(ANEW)
        fleet.add(site.worker("second", hold="lanes.stale:after:1", alone=True))

        async def held_or_over() -> bool:
            async with site.connection() as connection:
                over: bool = await connection.fetchval(OVER)
            return over or bool(events_of(HoldReached, site.history))

        await until(held_or_over, within=20.0, what="a second run, or the end")
        await site.seen(Settled)
        site.gate.touch()
        await fleet.retire("second")


async def the_lane_comes_back_as_it_was(site: Site, server: EmbeddedValkey) -> None:
    """A job is run and removed; the lane dies, and has it again when it comes back."""
    site = replace(site, lease=LONG_LEASE)
    worker = site.worker("first", alone=True)
    async with site.customer() as customer, site.fleet(worker) as fleet:
        await customer.ask("quick")  # tells the customer the lane's clock
        await site.quiet(within=FINISHED_WITHIN)
        await site.lane_has(0)
        await site.trust()
        async with fleet.frozen(await fleet.pick("first", 0)):
            await customer.ask("quick")
            await site.lane_has(1)
            backup = _copied(server)
        await site.quiet(within=FINISHED_WITHIN)
        await site.lane_has(0)
        fleet.history.append(LeaseLost(cause="restore"))
        with _dead(server):
            _restore(server, backup)
        with suppress(TimeoutError):
            await site.started(3, within=NOTHING_STARTS_WITHIN)
        fleet.add(site.services())
        await site.ledger_says(ANEW)
        await customer.ask("quick")
        await site.quiet(within=FINISHED_WITHIN)


@contextmanager
def _dead(server: EmbeddedValkey) -> Iterator[None]:
    server.kill()
    yield
    server.start()


def _copied(server: EmbeddedValkey) -> Path:
    backup = server.data_dir.with_name("backup")
    subprocess.run(["cp", "-a", server.data_dir, backup], check=True)
    return backup


def _restore(server: EmbeddedValkey, backup: Path) -> None:
    subprocess.run(["rm", "-r", server.data_dir], check=True)
    subprocess.run(["cp", "-a", backup, server.data_dir], check=True)
