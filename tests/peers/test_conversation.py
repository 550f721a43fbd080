"""The harness talks with a driver, and sees what its workers mark."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from benchmarks.peers.catalogue import DRIVERS, Peer
from benchmarks.peers.conversation import PeerFailed, Producer, Workers, producer, workers
from benchmarks.peers.environments import Environment
from benchmarks.peers.marks import Marks

DRIVER = Path(__file__).with_name("obedient.py")
PEER = Peer("obedient", "Obedient", DRIVER, "", (), ())
HERE = Environment((sys.executable, "-P", str(DRIVER)), {"PYTHONPATH": str(DRIVERS / "shared")}, {})


@pytest.fixture
async def driver(tmp_path: Path) -> AsyncIterator[Producer]:
    async with producer(PEER, HERE, {}, tmp_path / "log") as one:
        await one.order("open")
        yield one


@pytest.mark.parametrize("how", ["single", "concurrent", "bulk"])
async def test_each_way_enqueues_so_many_different_jobs(driver: Producer, how: str) -> None:
    done = await driver.order("enqueue", how=how, task="noop", n=250, seconds=20.0)
    assert done["n"] == await driver.order("held") == 250
    assert done["seconds"] > 0


async def test_time_ends_an_order(driver: Producer) -> None:
    done = await driver.order("enqueue", how="single", task="noop", n=10**9, seconds=0.05)
    assert 0 < done["n"] < 10**9


async def test_calls_are_told_with_their_numbers(driver: Producer) -> None:
    calls = await driver.order("latency", n=5, gap=0.001)
    numbers = [number for number, _ in calls]
    assert numbers == list(range(numbers[0], numbers[0] + 5))
    assert [at for _, at in calls] == sorted(at for _, at in calls)


async def test_an_error_is_told_and_the_driver_lives_on(driver: Producer) -> None:
    with pytest.raises(PeerFailed, match="no task is named nonsense"):
        await driver.order("enqueue", how="single", task="nonsense", n=1, seconds=1.0)
    await driver.order("close")
    assert await driver.order("held") == 0


async def test_a_driver_that_ends_is_told(tmp_path: Path) -> None:
    broken = Environment((sys.executable, "-c", "raise SystemExit('out of order')"), {}, {})
    async with producer(PEER, broken, {}, tmp_path / "log") as one:
        with pytest.raises(PeerFailed, match=r"while it did facts: out of order"):
            await one.order("facts")


async def test_workers_mark_the_start_of_each_job(tmp_path: Path) -> None:
    marks = Marks(tmp_path)
    told = {"PEER_MARKS": str(tmp_path)}
    async with workers(PEER, HERE, told, tmp_path / "log", number=2, concurrency=3) as crew:
        assert await marks.reach(6, 20.0)
        assert crew.cpu() >= 0
    assert sorted(mark.number for mark in marks.all()) == [0, 0, 1, 1, 2, 2]
    starts = [mark.at for mark in marks.all()]
    assert starts == sorted(starts)
    marks.clear()
    assert marks.count() == 0


async def test_a_worker_that_ended_is_an_error(tmp_path: Path) -> None:
    broken = Environment((sys.executable, "-c", "raise SystemExit('cannot work')"), {}, {})
    async with workers(PEER, broken, {}, tmp_path / "log", concurrency=1) as crew:
        assert not await Marks(tmp_path).reach(1, 0.01)
        with pytest.raises(PeerFailed, match="a worker ended with 1: cannot work"):
            await _until_it_tells(crew)


async def _until_it_tells(crew: Workers) -> None:
    while True:
        crew.check()
        await asyncio.sleep(0.01)  # the end of a process is seen by asking


def test_the_payload_is_two_hundred_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(DRIVERS / "shared")
    from jobs import FIRST, payload  # noqa: PLC0415 - found there only

    assert len(json.dumps(payload(FIRST))) == 200
