"""A worker that the lane's new life does not know of: its strict job runs once all the same."""

from itertools import pairwise
from pathlib import Path

import pytest

from chaos.dialects import RedisDialect
from chaos.processes.tasks import QUEUE, STRICT
from chaos.proxy import Proxy
from chaos.runs import runs_by_job
from chaos.site import Site
from headrace.embedded import EmbeddedValkey

TWO_WORK = "SELECT count(*) = 2 AND min(beats) > 0 FROM headrace.worker WHERE reaped_at IS NULL"
PAST_ITS_GRACE = "SELECT mode = 'hybrid' AND epoch > 2 AND calm FROM headrace.lane"
UNTIL_THE_END = 60.0  # seconds: the fleet is killed before


@pytest.mark.parametrize(
    ("queue", "overlaps"), [(QUEUE, 1), (STRICT, 0)], ids=["standard", "strict"]
)
async def test_a_flush_while_a_worker_is_cut_off_from_the_lane(
    tmp_path: Path, migrated_url: str, valkey: EmbeddedValkey, queue: str, overlaps: int
) -> None:
    site = Site(tmp_path, migrated_url, valkey.url)
    await site.prepare()
    with Proxy.before(valkey.url, RedisDialect) as proxy:
        first = site.behind_lane(proxy.url).worker("first", queues={queue: 1}, alone=True)
        second = site.worker("second", queues={queue: 2}, alone=True)
        async with site.customer(queue) as customer, site.fleet(site.services(), first) as fleet:
            (slow,) = await customer.ask("slow", queue=queue, seconds=UNTIL_THE_END)
            await site.started(1)
            fleet.add(second)  # that it lives keeps the first from voting the lane out
            await site.ledger_says(TWO_WORK)
            proxy.refuse()
            proxy.cut()
            await site.flush()
            await site.ledger_says(PAST_ITS_GRACE)
            await customer.ask("quick", queue=queue)
            await site.started(2 + overlaps)
    runs = runs_by_job(site.events())[str(slow.id)]
    assert sum(one.overlaps(two) for one, two in pairwise(runs)) == overlaps
