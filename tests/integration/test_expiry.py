"""A job that is of no use after some moment does not start after it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from headrace import Headrace, JobCancelled, RateLimit, Retry, State, UsageError
from headrace.model.expiry import as_header, error_if_expired
from headrace.model.job import Delivery
from headrace.model.made_at import made_at
from headrace.testing.kit.memory import in_memory
from integration.served import MODES, served, working

PAST = datetime(2020, 1, 1, tzinfo=UTC)
EXPIRE = 'UPDATE headrace.job SET headers = \'{"expires": "2020-01-01T00:00:00+00:00"}\''


@pytest.fixture(params=MODES)
async def app(
    request: pytest.FixtureRequest, migrated_url: str, lane_url: str
) -> AsyncIterator[Headrace]:
    async with served(request.param, migrated_url, lane_url, lease=5.0) as app:
        yield app


async def test_what_has_expired_is_cancelled_and_never_runs(app: Headrace) -> None:
    ran: list[str] = []

    @app.task(expires="1h", limits=[RateLimit("scarce", "1/day")])
    async def work(name: str) -> None:
        ran.append(name)

    late = await work.options(expires=PAST).enqueue("late")
    soon = await work.options(expires="1ms").enqueue("soon")
    async with working(app):
        for job in (late, soon):
            with pytest.raises(JobCancelled, match=r"Expired: it did not start until 20.* expired"):
                await job.result(timeout="10s")
        # Neither has used the one start of the day.
        await (await work.enqueue("in time")).result(timeout="10s")
    assert ran == ["in time"]
    await late.refresh()
    assert late.job is not None
    assert (late.state, late.job.attempt) == (State.CANCELLED, 0)


async def test_it_does_not_run_again_either(app: Headrace, sql: asyncpg.Connection) -> None:
    ran: list[int] = []

    @app.task(expires="1h")
    async def work() -> None:
        ran.append(1)
        await sql.execute(EXPIRE)
        raise Retry("busy", after="10ms")

    job = await work.enqueue()
    async with working(app):
        with pytest.raises(JobCancelled, match="Expired"):
            await job.result(timeout="10s")
    assert ran == [1]


async def test_in_memory_too() -> None:
    app = Headrace("shop")
    ran: list[int] = []

    @app.task(expires="1h")
    async def work() -> None:
        ran.append(1)

    with in_memory(app, inline=False) as jobs:
        await work.enqueue()
        await jobs.advance("30m")
        (done,) = await jobs.drain_queue()
        await work.enqueue()
        await jobs.advance("61m")
        (over,) = await jobs.drain_queue()
    assert (done.state, over.state) == (State.COMPLETED, State.CANCELLED)
    assert ran == [1]


def delivery(expires: timedelta | datetime | None) -> Delivery:
    return Delivery(
        id=UUID("0195f5c0-0000-7000-8000-000000000000"),
        gen=1,
        queue="q",
        task="work",
        payload=b"{}",
        priority=5,
        failures=0,
        crashes=0,
        max_attempts=3,
        call=1,
        headers=None if expires is None else {"expires": as_header(expires)},
    )


@pytest.mark.parametrize("seconds", [59.9, 60.0])
def test_it_may_start_until_then(seconds: float) -> None:
    one = delivery(timedelta(minutes=1))
    assert error_if_expired(one, made_at(one.id) + timedelta(seconds=seconds)) is None


def test_whoever_says_nothing_may_start_for_ever() -> None:
    assert error_if_expired(delivery(None), datetime(9000, 1, 1, tzinfo=UTC)) is None


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"expires": "0s"}, 'expires="0s" leaves no time to start; give at least "1ms"'),
        ({"expires": 5.5}, "expires=5.5"),
        ({"expires": datetime(2030, 1, 1)}, "expires=2030-01-01T00:00:00 has no time zone"),  # noqa: DTZ001 - it is refused
        ({"expires": "1m", "delay": "2m"}, "would expire .* before it is due"),
        ({"expires": PAST, "run_at": PAST}, "would expire .* before it is due"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, object], sentence: str) -> None:
    app = Headrace("shop")

    @app.task()
    async def work() -> None: ...

    with pytest.raises(UsageError, match=sentence):
        work.options(**options)  # type: ignore[arg-type] # some of it is wrong
