"""Schedules make each tick once, whoever and however many make them."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from headrace import Context, Headrace
from headrace.engines.ledgered import LedgeredEngine
from headrace.relay.services import services
from headrace.service import running
from headrace.worker.worker import Worker
from integration.served import MODES, served, until

LEASE = 1.5


@pytest.mark.parametrize("mode", MODES)
async def test_a_job_knows_the_tick_that_it_was_made_for(
    mode: str, migrated_url: str, lane_url: str
) -> None:
    seen: list[tuple[str | None, datetime | None, datetime]] = []
    async with served(mode, migrated_url, lane_url, LEASE) as app:

        @app.schedule("often", every="1s")
        @app.task(queue="work")
        async def note(ctx: Context) -> None:
            seen.append((ctx.schedule, ctx.scheduled_for, datetime.now(UTC)))

        await app.declare()
        worker = Worker(app, {"work": 5})
        await worker.start()
        try:
            await until(lambda: len(seen) >= 3)
        finally:
            await worker.stop()
    assert {name for name, _, _ in seen} == {"often"}
    ticks = [tick for _, tick, _ in seen if tick is not None]
    assert [one - ticks[0] for one in ticks] == [timedelta(seconds=n) for n in range(len(ticks))]
    print([ran - tick for _, tick, ran in seen])
    assert 0
