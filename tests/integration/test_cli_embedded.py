"""Commands with --embedded, as several terminals in one folder give them."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.folder import Folder, project
from integration.served import until

SHOP = """
import asyncio
from headrace import Headrace

app = Headrace("shop", lease="2s")


@app.task(queue="orders", rerun_on_crash=True)
async def pack(order: int) -> int:
    return order


@app.task(queue="orders", rerun_on_crash=True)
async def sleep() -> None:
    await asyncio.sleep(3600)
"""


@pytest.fixture
def folder(shared_directory: Path, server_directory: Path) -> Iterator[Folder]:
    with project(shared_directory, server_directory, SHOP) as folder:
        yield folder


async def test_commands_work_beside_a_worker_and_after_it(folder: Folder) -> None:
    async with folder.worker() as worker:
        job = await folder.enqueue("pack", '{"order": 7}')
        await until(lambda: is_over(folder, job), 30)
        await until(lambda: is_by_the_lane(folder), 30)
        assert all(one["level"] != "fail" for one in await findings(folder))
        worker.terminate()
        assert await worker.wait() == 0
    # The servers were stopped and are new, and the lane of before is nobody's concern.
    checks = await folder.json("verify")
    assert all(not one["breaches"] for one in checks["checks"])
    assert all(one["level"] != "fail" for one in await findings(folder))
    assert await folder.state(job) == "completed"


async def test_a_worker_after_another_does_not_wait_for_the_leases_of_a_lane_that_is_gone(
    folder: Folder,
) -> None:
    (folder.path / "shop.py").write_text(SHOP.replace(', lease="2s"', ""))  # a grace of 20 s
    async with folder.worker():
        await until(lambda: is_by_the_lane(folder), 30)
    job = await folder.enqueue("pack", '{"order": 7}')  # before the next lane
    before = await folder.json("lane")
    async with folder.worker():
        await until(lambda: is_by_the_lane(folder), 30)
        lane = await folder.ask("SELECT epoch, calm FROM headrace.lane")
        assert (lane["epoch"] > before["epoch"], lane["calm"]) == (True, True)
        await until(lambda: is_over(folder, job), 30)


async def test_a_lane_that_a_living_worker_may_hold_something_of_is_not_forgotten(
    folder: Folder,
) -> None:
    async with folder.worker() as worker:
        await until(lambda: is_by_the_lane(folder), 30)
        job = await folder.enqueue("sleep")
        await until(lambda: is_in(folder, job, "running"), 30)
        before = await folder.ask("SELECT epoch FROM headrace.lane")
        worker.send_signal(signal.SIGSTOP)
        os.kill(folder.guardian, signal.SIGKILL)
        lane = await folder.json("lane")
        worker.send_signal(signal.SIGCONT)
        assert (lane["mode"], lane["epoch"]) == ("hybrid", before["epoch"])
        worker.kill()


async def test_a_killed_worker_takes_no_server_from_the_others(folder: Folder) -> None:
    async with folder.worker() as first:
        job = await folder.enqueue("sleep")
        await until(lambda: is_in(folder, job, "running"), 30)
        async with folder.worker() as second:
            first.kill()
            await first.wait()
            await until(lambda: has_crashed(folder, job), 30)
            second.send_signal(signal.SIGKILL)
            await second.wait()
    assert await folder.state(job) in {"available", "running"}  # nobody has watched it since


async def test_several_processes_of_a_worker_share_the_servers(folder: Folder) -> None:
    async with folder.worker("--processes", "2") as supervisor:
        job = await folder.enqueue("pack", '{"order": 7}')
        await until(lambda: is_over(folder, job), 30)
        supervisor.terminate()
        assert await supervisor.wait() == 0


async def test_an_application_that_names_its_own_database_is_not_taken_for_another(
    folder: Folder,
) -> None:
    own = SHOP.replace('Headrace("shop"', 'Headrace("shop", database_url="postgresql://own/db"')
    (folder.path / "shop.py").write_text(own)
    for command in (("worker", "shop:app"), ("enqueue", "shop:app", "pack")):
        status, _, err = await folder.run(*command, "--embedded")
        *before, told = err.splitlines()
        assert (status, "names a database itself" in told) == (2, True)
        assert all(line.startswith("starting PostgreSQL and Valkey in") for line in before)


async def test_a_second_demo_is_as_quick_as_the_first(folder: Folder) -> None:
    for _ in range(2):
        status, out, err = await folder.run("demo", "--once")
        assert status == 0, err
        assert json.loads(out)["seconds"] < 20  # the grace of a lost lane, which comes on top


async def test_one_demo_at_a_time(folder: Folder) -> None:
    first = await folder.start("demo")
    assert first.stderr is not None
    told = await first.stderr.readline()
    if told.startswith(b"starting PostgreSQL and Valkey in"):  # where that takes a second
        told = await first.stderr.readline()
    assert told.startswith(b"mail from")
    status, _, err = await folder.run("demo", "--once")
    assert (status, "another demo runs in this folder" in err) == (1, True)
    assert err.count("\n") == 1
    first.send_signal(signal.SIGINT)
    await first.communicate()


async def findings(folder: Folder) -> list[dict[str, str]]:
    found = await folder.json("doctor")
    return list(found["findings"])


async def is_over(folder: Folder, job: str) -> bool:
    return bool((await folder.ask("SELECT state FROM headrace.job WHERE id = $1", job))["state"])


async def is_in(folder: Folder, job: str, state: str) -> bool:
    return await folder.state(job) == state


async def has_crashed(folder: Folder, job: str) -> bool:
    row = await folder.ask("SELECT crashes FROM headrace.job WHERE id = $1", job)
    return bool(row["crashes"])


async def is_by_the_lane(folder: Folder) -> bool:
    return bool((await folder.ask("SELECT mode FROM headrace.lane"))["mode"] == "hybrid")
