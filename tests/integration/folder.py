"""A project in a folder, and the commands that are given in it."""

import asyncio
import contextlib
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg

from headrace.embedded.lock import FileLock
from servers import copy_postgres, postgres_template

PROGRAM = Path(sys.executable).with_name("headrace")


@contextlib.contextmanager
def project(shared: Path, path: Path, shop: str) -> "Iterator[Folder]":
    """A folder with the module `shop`; in the end its servers have ended, too."""
    (path / "shop.py").write_text(shop)
    copy_postgres(postgres_template(shared), path / ".headrace")
    yield Folder(path)
    guardian = FileLock(path / ".headrace" / "guardian.lock")
    assert guardian.wait(20)
    guardian.release()


class Folder:
    """A project and the commands that are given in it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def guardian(self) -> int:
        """The parent of the servers."""
        server = (self.path / ".headrace/postgres/postmaster.pid").read_text().split()[0]
        return int(Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()[1])

    async def start(self, *arguments: str) -> Process:
        return await asyncio.create_subprocess_exec(
            PROGRAM,
            *arguments,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            cwd=self.path,
            env={"PATH": "/usr/bin:/bin"},
        )

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        process = await self.start(*arguments)
        out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()

    async def json(self, *arguments: str) -> Any:
        status, out, err = await self.run(*arguments, "--embedded", "--json")
        assert status == 0, err
        return json.loads(out)

    async def ask(self, question: str, *values: object) -> Any:
        """What the database answers, while a command uses the servers."""
        urls = json.loads((self.path / ".headrace/stack.json").read_text())
        connection = await asyncpg.connect(urls["database_url"])
        try:
            return await connection.fetchrow(question, *values)
        finally:
            await connection.close()

    async def enqueue(self, task: str, arguments: str = "{}") -> str:
        answer = await self.json("enqueue", "shop:app", task, arguments)
        return str(answer["id"])

    async def state(self, job_id: str) -> str:
        return str((await self.json("jobs", "show", job_id))["job"]["state"])

    @contextlib.asynccontextmanager
    async def worker(self, *options: str) -> AsyncIterator[Process]:
        process = await self.start("worker", "shop:app", "--embedded", *options)
        assert process.stderr is not None
        await ready(process)
        rest = asyncio.create_task(process.stderr.read())
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()
            await rest


async def ready(worker: Process) -> None:
    assert worker.stderr is not None
    told = ""
    async for line in worker.stderr:
        told += line.decode()
        if b"is ready" in line:
            return
    raise AssertionError(told)
