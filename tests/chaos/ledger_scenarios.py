"""Short runs, each of which provokes what one rule of the protocol is there for.

A scenario leaves its verdict to the caller: the product passes it, the twin without the rule fails.
"""

from contextlib import suppress

from chaos.dialects import PostgresDialect
from chaos.events import HoldReached, Settled, StartChecked
from chaos.history import now_ns
from chaos.processes.tasks import QUEUE
from chaos.proxy import Proxy
from chaos.site import Site

UNFINISHED_AFTER = 8.0  # seconds: many leases
FINISHED_WITHIN = 60.0  # seconds, on a busy machine
# A second ago: the round of the reaper that judged it is over, and so is what it reaped at once.
JUDGED = "SELECT EXISTS (SELECT FROM headrace.worker WHERE reaped_at < now() - interval '1 s')"
BEATEN = "SELECT coalesce(min(beats), 0) >= {n} FROM headrace.worker"
CLAIMED = "SELECT bool_or(gen > 1) FROM headrace.job"
CHARGED = "SELECT EXISTS (SELECT FROM headrace.prefetch WHERE claim_no = 0)"


async def a_zombie_ends_after_all_is_over(site: Site, kind: str = "slow") -> None:
    """A worker is stopped in a run; another completes the job; the first goes on."""
    async with site.customer() as customer:
        await customer.ask(kind, seconds=0.7)
    async with site.fleet(site.worker("first")) as fleet:
        await site.seen(StartChecked)
        first = await fleet.pick("first", 0)
        async with fleet.frozen(first):
            fleet.add(site.worker("second"))
            await site.quiet(within=FINISHED_WITHIN)
        await site.seen(Settled, pid=first.pid)


async def a_zombie_with_effects_ends_after_all_is_over(site: Site) -> None:
    """The same with a handler that writes in its job's transaction."""
    await a_zombie_ends_after_all_is_over(site, "effect")


async def a_zombie_ends_during_the_next_run(site: Site) -> None:
    """A worker is stopped in a run; the first goes on before another has settled its own."""
    async with site.customer() as customer:
        await customer.ask("slow", seconds=1.0)
    async with site.fleet(site.worker("first")) as fleet:
        await site.seen(StartChecked)
        first = await fleet.pick("first", 0)
        async with fleet.frozen(first):
            fleet.add(site.worker("second", hold="ledger.settle:before:1"))
            second = await fleet.pick("second", 0)
            await site.seen(StartChecked, pid=second.pid)
        await site.seen(Settled, pid=first.pid)
        site.gate.touch()
        await site.seen(Settled, pid=second.pid)
        await site.quiet(within=FINISHED_WITHIN)


async def a_zombie_holds_unstarted_jobs(site: Site) -> None:
    """A worker is stopped in a run with more in hand; another completes all; it goes on."""
    async with site.customer() as customer:
        await customer.ask("slow", 4, seconds=0.5)
    first_role = site.worker("first", queues={QUEUE: 1}, prefetch=3)
    async with site.fleet(first_role) as fleet:
        await site.seen(StartChecked)
        await site.given_out(4)
        await site.ledger_says(CHARGED)
        first = await fleet.pick("first", 0)
        async with fleet.frozen(first):
            fleet.add(site.worker("second"))
            await site.quiet(within=FINISHED_WITHIN)
            goes_on = now_ns()
        # What it was running may be its second job, or its third: a slot starts the next at once.
        await site.seen(Settled, pid=first.pid, since=goes_on)
        await fleet.retire("first")


async def a_beat_overtakes_the_reply_of_a_claim(site: Site) -> None:
    """The reply of a claim is under way while beats pass and another worker asks for jobs."""
    await a_beat_overtakes_the_reply(site, hold="ledger.claim:after:1")


async def a_beat_overtakes_the_reply(site: Site, hold: str) -> None:
    """The same with any call that gives jobs."""
    async with site.customer() as customer:
        await customer.ask("quick")
    async with site.fleet(site.worker("first", hold=hold)) as fleet:
        await site.seen(HoldReached)
        await site.ledger_says(BEATEN.format(n=2))
        fleet.add(site.worker("second"))
        await site.ledger_says("SELECT count(*) = 2 FROM headrace.worker")
        await site.ledger_says(f"SELECT ({BEATEN.format(n=3)}) OR ({OVER})")
        site.gate.touch()
        await site.seen(StartChecked, pid=(await fleet.pick("first", 0)).pid)
        await site.quiet(within=FINISHED_WITHIN)


async def a_claim_commits_after_the_judgement(site: Site) -> None:
    """A worker sends a claim, is stopped for a lease and judged; its claim arrives, and it dies.

    Were it to live, it would give back itself what came too late.
    """
    hold, crash = "ledger.claim:before:1", "ledger.claim:after:1"
    async with site.fleet(site.worker("first", hold=hold, crash=crash)) as fleet:
        await site.seen(HoldReached)
        async with fleet.frozen(await fleet.pick("first", 0)):
            fleet.add(site.services())
            await site.ledger_says(JUDGED)
            async with site.customer() as customer:
                await customer.ask("quick")
            site.gate.touch()
        await site.ledger_says(CLAIMED)
        fleet.add(site.worker("second"))
        with suppress(TimeoutError):
            await site.quiet(within=UNFINISHED_AFTER)


async def a_worker_dies_in_the_only_attempt(site: Site) -> None:
    """A worker dies in the run of a job that may start once."""
    await _a_worker_dies_in_a_run(site, "once")


async def a_worker_dies_in_a_run_with_effects(site: Site) -> None:
    """A worker dies in a run that has written in its job's transaction."""
    await _a_worker_dies_in_a_run(site, "effect")


async def _a_worker_dies_in_a_run(site: Site, kind: str) -> None:
    async with site.customer() as customer:
        await customer.ask(kind)
    async with site.fleet(site.worker(crash="handler.reach:before:1")):
        await site.reached("handler.reach:before")
        with suppress(TimeoutError):
            await site.quiet(within=UNFINISHED_AFTER)


async def the_reply_of_an_insert_is_lost(site: Site) -> None:
    """A producer's insert commits; the connection breaks before the reply."""
    with Proxy.before(site.database_url, PostgresDialect) as proxy:
        trap = proxy.drop_next_reply(b"INSERT INTO headrace.job")
        producer = site.behind(proxy.url).producer()
        async with site.fleet(producer, site.worker()) as fleet:
            await site.ledger_says("SELECT count(*) > 100 FROM headrace.job")
            await fleet.retire("producer")
            await site.quiet(within=FINISHED_WITHIN)
        assert trap.sprung


OVER = "SELECT NOT EXISTS (SELECT FROM headrace.job WHERE state < 2)"
