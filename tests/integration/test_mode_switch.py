"""When the lane cannot be reached, the ledger gives out the jobs, by itself; and back again."""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, AsyncExitStack, contextmanager

import asyncpg
import pytest

from headrace import Headrace
from headrace.embedded import EmbeddedValkey
from headrace.engines.ledgered import LedgeredEngine
from headrace.model.lane_view import Mode
from headrace.relay.services import services
from headrace.service import running
from headrace.worker.worker import Worker
from integration.served import until
from lanes import frozen

LEASE = 15.0  # as users have it: they shall not wait for it


class Crew:
    """Workers of one application, each with its own way to the lane, and when each job ran."""

    def __init__(self, database_url: str) -> None:
        self.database_url = database_url
        self.apps: list[Headrace] = []
        self.ran: dict[int, list[float]] = {}
        self._stack = AsyncExitStack()

    async def hire(self, redis_url: str, *, lease: float = LEASE) -> Headrace:
        app = Headrace(
            "tests", database_url=self.database_url, redis_url=redis_url, lease=f"{lease}s"
        )

        @app.task(queue="work", name="note")
        async def note(number: int) -> None:
            self.ran.setdefault(number, []).append(time.monotonic())

        await self._stack.enter_async_context(app)
        worker = Worker(app, {"work": 10})
        beside = services(app.engine, lambda: worker.id, worker.hurry, lease=lease)
        await self._stack.enter_async_context(running(beside))
        await worker.start()
        self._stack.push_async_callback(worker.stop)
        self.apps.append(app)
        await until(lambda: self.mode(app) is Mode.HYBRID, 40.0)
        return app

    @staticmethod
    def mode(app: Headrace) -> Mode:
        assert isinstance(app.engine, LedgeredEngine)
        return app.engine.view.mode

    async def enqueue(self, app: Headrace, numbers: range) -> float:
        task = app.tasks["note"]
        began = time.monotonic()
        for number in numbers:
            await task.enqueue(number)
        return began

    @staticmethod
    async def all_have_beaten(sql: asyncpg.Connection) -> bool:
        """Whether each worker is one of long standing: the first beat opens a connection."""
        beaten: bool = await sql.fetchval("SELECT every(beats > 0) FROM headrace.worker")
        return beaten

    async def close(self) -> None:
        await self._stack.aclose()


@pytest.fixture
async def crew(migrated_url: str) -> AsyncIterator[Crew]:
    crew = Crew(migrated_url)
    yield crew
    await crew.close()


@contextmanager
def killed(valkey: EmbeddedValkey) -> Iterator[None]:
    valkey.kill()
    yield
    valkey.start()


@pytest.mark.parametrize("fault", [killed, frozen])
async def test_jobs_start_within_seconds_of_an_outage_and_the_lane_comes_back(
    crew: Crew,
    sql: asyncpg.Connection,
    valkey: EmbeddedValkey,
    fault: Callable[[EmbeddedValkey], AbstractContextManager[None]],
) -> None:
    apps = [await crew.hire(valkey.url) for _ in range(2)]
    await crew.enqueue(apps[0], range(100))
    await until(lambda: len(crew.ran) == 100)
    await until(lambda: crew.all_have_beaten(sql))
    with fault(valkey):
        began = await crew.enqueue(apps[0], range(100, 300))
        await until(lambda: len(crew.ran) == 300, 30.0)
        print("slowest", max(crew.ran[n][0] - began for n in range(100, 300)))
    began = time.monotonic()
    await until(lambda: crew.mode(apps[0]) is Mode.HYBRID, 60.0)
    print("back", time.monotonic() - began)
    await crew.enqueue(apps[1], range(300, 400))
    await until(lambda: len(crew.ran) == 400, 30.0)
    assert all(len(runs) == 1 for runs in crew.ran.values())
