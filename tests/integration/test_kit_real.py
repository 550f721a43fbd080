"""Real mode of the test kit, in a test session of its own, as its users have it."""

import pytest

pytest_plugins = ["pytester"]

SHOP = """
import asyncio
import asyncpg
import pytest
from headrace import Headrace, UsageError

app = Headrace("shop")


@app.task(queue="emails", max_attempts=2)
async def send(to: str) -> str:
    if to == "bad":
        raise ValueError("no such mailbox")
    return to


@app.task(queue="plain")
def plain(n: int) -> int:
    return n
"""

TESTS = """
from shop import *


async def test_a_worker_runs_what_is_enqueued(headrace_real):
    async with headrace_real(app) as jobs:
        spy = jobs.spy(send)
        job = await send.enqueue("ann")
        await spy.wait_for(job, "completed")
        assert spy.calls[0].kwargs == {"to": "ann"}
        assert await job.result() == "ann"
        jobs.assert_enqueued(send, args={"to": "ann"}, count=1, state="completed")
        (ran,) = await jobs.drain_queue()
        assert ran.id == job.id
        assert await jobs.drain_queue() == []


async def test_each_has_a_database_of_its_own(headrace_real):
    async with headrace_real(app) as jobs:
        jobs.refute_enqueued()
        await send.options(delay="1h").enqueue("bob")
        jobs.assert_enqueued(send, delay="1h", state="scheduled")
        (job,) = await jobs.advance("1h")
        assert job.state == "completed"
        await send.enqueue("bad")
        (job,) = await jobs.drain_queue(with_scheduled=True)
        assert (job.state, job.attempt) == ("dead", 2)
        job = await jobs.process_job(send.options(delay="1h").job("zoe"))
        assert job.state == "completed"
        with pytest.raises(UsageError, match="cannot be run"):
            await jobs.process_job(job)


async def test_what_is_rolled_back_was_never_enqueued(headrace_real):
    async with headrace_real(app) as jobs:
        connection = await asyncpg.connect(jobs.database_url)
        begun = connection.transaction()
        await begun.start()
        await send.enqueue("ann", tx=connection)
        await begun.rollback()
        await connection.close()
        jobs.refute_enqueued(send)


async def test_threads_enqueue_there_too(headrace_real):
    async with headrace_real(app) as jobs:
        await asyncio.to_thread(plain.enqueue_sync, 7)
        (job,) = await jobs.drain_queue()
        assert bytes(job.result) == b"7"


async def test_the_application_is_itself_again():
    with pytest.raises(UsageError, match="not started"):
        await send.enqueue("ann")
"""


def test_real_mode(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_REDIS_URL", "redis://127.0.0.1:1/0")  # what a developer has set
    pytester.makepyfile(shop=SHOP, test_shop=TESTS)
    pytester.makeini(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
        "filterwarnings = error\naddopts = -p no:valkey\npythonpath = .\n"
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=5)
