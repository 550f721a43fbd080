"""After a switch, jobs from before it wait until the leases of the lane are over."""

import asyncio

import pytest

from headrace import Headrace, State
from headrace.connect import connect
from headrace.engines.ledgered import LedgeredEngine
from headrace.model.lane_view import Mode
from headrace.supervisor.node import run_node

_WAITS = "due jobs from before the lane was switched off wait until its leases are over, at about "


async def switch_there_and_back(app: Headrace) -> None:
    engine = connect(app.settings)
    assert isinstance(engine, LedgeredEngine)
    await engine.start()
    lanes = engine.ledger.lanes
    for mode in (Mode.REBUILD, Mode.DIRECT):
        assert await lanes.switch((await lanes.view()).epoch, mode, held=True)
    assert not (await lanes.view()).calm
    await engine.stop()


async def test_a_burst_says_what_it_waits_for_and_ends_after_it(
    migrated_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = Headrace("tests", database_url=migrated_url, lease="1s")

    @app.task(queue="q")
    async def plain() -> str:
        return "fine"

    await switch_there_and_back(app)
    async with asyncio.timeout(20):
        await run_node(app, {"q": 1}, burst=True)
    assert _WAITS not in caplog.text  # nothing waits
    async with app:
        job = await plain.enqueue()
    await switch_there_and_back(app)
    async with asyncio.timeout(20):
        await run_node(app, {"q": 1}, burst=True)
    assert caplog.text.count(_WAITS) == 1
    assert "; this burst ends after them" in caplog.text
    async with app:
        assert (await job.refresh()).state is State.COMPLETED
