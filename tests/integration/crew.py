"""Workers of one application that may lose their lane, and what ran where."""

import json
import time
from contextlib import AsyncExitStack

import asyncpg

from headrace import Headrace
from headrace.engines.ledgered import LedgeredEngine
from headrace.model.lane_view import LaneView, Mode
from headrace.relay.services import services
from headrace.service import running
from headrace.worker.worker import Worker
from integration.served import until


class Crew:
    """Workers of one application, each with its own way to the lane, and what ran where."""

    def __init__(self, database_url: str, sql: asyncpg.Connection) -> None:
        self.ran: list[tuple[int, Headrace, float]] = []
        self.apps: list[Headrace] = []
        self._database_url = database_url
        self._sql = sql
        self._stack = AsyncExitStack()

    async def hire(self, redis_url: str, lease: str = "15s") -> Headrace:
        """One more, that gives and takes jobs by the lane."""
        app = Headrace("tests", database_url=self._database_url, redis_url=redis_url, lease=lease)

        @app.task(queue="work", name="note")
        async def note(number: int) -> None:
            self.ran.append((number, app, time.monotonic()))

        await self._stack.enter_async_context(app)
        worker = Worker(app, {"work": 10})
        seconds = app.settings.lease.total_seconds()
        beside = services(app.engine, lambda: worker.id, worker.hurry, lease=seconds)
        await self._stack.enter_async_context(running(beside))
        await worker.start()
        self._stack.push_async_callback(worker.stop)
        await until(lambda: self.view(app).mode is Mode.HYBRID, 40.0)
        self.apps.append(app)
        return app

    async def dismiss(self) -> None:
        """All workers end."""
        await self._stack.aclose()

    @staticmethod
    def view(app: Headrace) -> LaneView:
        """How the lane is, as this worker knows."""
        assert isinstance(app.engine, LedgeredEngine)
        return app.engine.view

    @property
    def numbers(self) -> list[int]:
        """What ran."""
        return sorted(number for number, _, _ in self.ran)

    @staticmethod
    async def enqueue(app: Headrace, numbers: range) -> None:
        """One by one."""
        for number in numbers:
            await app.tasks["note"].enqueue(number)

    async def insert(self, numbers: range) -> None:
        """By nobody's process, so that only a relay brings them into the lane."""
        for number in numbers:
            job = json.dumps({"task": "note", "args": {"number": number}})
            await self._sql.fetchval("SELECT headrace_enqueue($1::jsonb)", job)

    async def settled_in(self) -> None:
        """Each is one of long standing: its first beat opened connections."""
        beaten = "SELECT every(beats > 0) FROM headrace.worker"
        await until(lambda: self._sql.fetchval(beaten))
