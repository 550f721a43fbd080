"""A lane behind Sentinels or in a cluster: its primary dies, and its replica follows it."""

import asyncio
from pathlib import Path

import asyncpg
from redis.crc import key_slot

from headrace.engines.ledgered import LedgeredEngine
from headrace.lanes.redis import doctor
from headrace.lanes.redis.keys import Keys
from headrace.model.finding import Level
from headrace.model.lane_view import LaneView, Mode
from integration.crew import Crew
from integration.served import until
from valkeys import PASSWORD, Valkey, cluster, sentinels


async def test_sentinels_tell_which_server_has_the_lane(crew: Crew, tmp_path: Path) -> None:
    with sentinels(tmp_path) as (primary, replica, sentinel):
        gone = Valkey(tmp_path / "gone", [], "--sentinel")
        gone.kill()
        addresses = f"127.0.0.1:{gone.port},127.0.0.1:{sentinel.port}"
        url = f"redis+sentinel://:{PASSWORD}@{addresses}/main/0"
        await _goes_on_when_the_primary_dies(crew, url, primary, replica)


async def test_a_cluster_tells_which_node_has_the_lane(
    crew: Crew, tmp_path: Path, sql: asyncpg.Connection
) -> None:
    ledger = await sql.fetchval("SELECT ledger FROM headrace.lane")
    with cluster(tmp_path, key_slot(Keys(ledger).meta)) as (primaries, replica):
        addresses = ",".join(f"127.0.0.1:{node.port}" for node in primaries)
        url = f"redis+cluster://:{PASSWORD}@{addresses}"
        await _goes_on_when_the_primary_dies(crew, url, primaries[0], replica)


async def _goes_on_when_the_primary_dies(
    crew: Crew, url: str, primary: Valkey, replica: Valkey
) -> None:
    apps = [await crew.hire(url, "2s") for _ in range(2)]
    await crew.settled_in()
    epoch = crew.view(apps[0]).epoch
    producing = asyncio.create_task(crew.enqueue(apps[0], range(2000)))
    await until(lambda: len(crew.ran) > 200)
    primary.kill()
    await producing
    await until(lambda: len(crew.ran) >= 2000, 30.0)
    await until(lambda: _uses_a_new_lane(crew, epoch), 30.0)
    assert replica.ask("ROLE")[0] == "master"
    assert replica.ask("EXISTS", Keys(crew.view(apps[0]).ledger).meta) == 1
    await crew.enqueue(apps[1], range(2000, 2100))
    await until(lambda: len(crew.ran) >= 2100)
    assert crew.numbers == list(range(2100))
    assert isinstance(apps[0].engine, LedgeredEngine)
    lanes = apps[0].engine.ledger.lanes

    async def told() -> tuple[LaneView | None, float]:
        return await lanes.view(), 0.0

    found = await doctor.examine(url, told)
    assert [finding for finding in found if finding.level is Level.FAIL] == []


async def _uses_a_new_lane(crew: Crew, epoch: int) -> bool:
    views = [crew.view(app) for app in crew.apps]
    return all(view.mode is Mode.HYBRID and view.epoch > epoch for view in views)
