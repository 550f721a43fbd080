"""Who cannot see the lane says so: which jobs run is known to it alone."""

from collections.abc import AsyncIterator

import pytest

from headrace.embedded import EmbeddedValkey
from headrace.engines.lane_inspector import LaneInspector
from headrace.engines.ledgered import LedgeredEngine
from headrace.ledger.inspector import LedgerInspector
from headrace.ledger.postgres import PostgresLedger
from headrace.ledger.queries import Queries
from headrace.model.inspection import JobFilter
from headrace.model.state import State
from headrace.testing.engines import Rig
from headrace.testing.engines.rigs import hybrid_rig

_UNSEEN = "running jobs are shown as available, since only the lane knows: "
_UNCONFIGURED = f"{_UNSEEN}no redis_url is configured here; set HEADRACE_REDIS_URL"


@pytest.fixture
async def rig(migrated_url: str, valkey: EmbeddedValkey) -> AsyncIterator[Rig]:
    async with hybrid_rig(migrated_url, valkey.url) as rig:
        yield rig


async def test_listings_without_a_lane_say_once_that_they_cannot_tell(
    rig: Rig, migrated_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    held = await rig.given()
    assert isinstance(rig.engine, LedgeredEngine)
    async with Queries(migrated_url) as queries:
        inspector = LaneInspector(LedgerInspector(queries), rig.engine.ledger.lanes, None)
        (job,) = (await inspector.list_jobs(JobFilter(), limit=9)).jobs
        assert (job.id, job.state) == (held.id, State.AVAILABLE)
        assert caplog.text.count(_UNCONFIGURED) == 1
        counts = await inspector.queue(job.queue)
        assert (counts.available, counts.running) == (1, 0)
        assert not (await inspector.list_jobs(JobFilter(states=(State.RUNNING,)), limit=9)).jobs
        assert (await inspector.get(held.id)).state is State.AVAILABLE
        assert caplog.text.count(_UNSEEN) == 1


async def test_an_application_without_a_lane_says_it_too(
    rig: Rig, migrated_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    held = await rig.given()
    engine = LedgeredEngine(PostgresLedger(migrated_url))
    await engine.start()
    for _ in range(2):
        assert [job.state for job in await engine.get([held.id])] == [State.AVAILABLE]
    await engine.stop()
    assert caplog.text.count(_UNCONFIGURED) == 1


async def test_a_lane_that_is_away_is_no_secret(
    rig: Rig, valkey: EmbeddedValkey, caplog: pytest.LogCaptureFixture
) -> None:
    held = await rig.given()
    assert [job.state for job in await rig.engine.get([held.id])] == [State.RUNNING]
    assert _UNSEEN not in caplog.text
    valkey.kill()
    assert [job.state for job in await rig.engine.get([held.id])] == [State.AVAILABLE]
    assert "cannot be reached" in caplog.text.partition(_UNSEEN)[2]
