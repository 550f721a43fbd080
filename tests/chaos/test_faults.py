"""Faults whose harm is no broken rule but work undone or jobs given up without need."""

from chaos.site import Site

JOBS = 30
JUDGED = "SELECT EXISTS (SELECT FROM headrace.worker WHERE reaped_at IS NOT NULL)"


async def test_a_worker_that_was_stopped_uses_up_no_attempts_when_it_goes_on(site: Site) -> None:
    async with site.fleet(site.worker("first"), site.services()) as fleet:
        await site.ledger_says("SELECT min(beats) > 0 FROM headrace.worker")
        async with fleet.frozen(await fleet.pick("first", 0)):
            await site.ledger_says(JUDGED)
            async with site.customer() as customer:
                await customer.ask("once", JOBS)
        await site.quiet(within=20)
    verdict = await site.verdict()
    assert not verdict.violations, str(verdict)
    assert verdict.summary.states == {"completed": JOBS}
