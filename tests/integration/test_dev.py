"""headrace dev: servers, and a worker that goes with the code."""

import asyncio
import os
import signal
import sys
from asyncio import Queue
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from headrace.supervisor.reloader import Reloader
from integration.folder import Folder, project
from integration.served import until

SHOP = """
from headrace import Headrace

app = Headrace("shop")


@app.task(queue="orders")
async def pack() -> str:
    return "first"
"""
# Tells its pid, and what it is told to do about SIGTERM; ends as its supervisor would have it.
CHILD = """
import os, pathlib, signal, sys
if sys.argv[2] == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
with pathlib.Path(sys.argv[1]).open("a") as told:
    print(os.getpid(), file=told, flush=True)
if sys.argv[2] == "broken":
    sys.exit(1)
sys.stdin.read()
"""


@pytest.fixture
def folder(shared_directory: Path, server_directory: Path) -> Iterator[Folder]:
    with project(shared_directory, server_directory, SHOP) as folder:
        yield folder


async def test_a_worker_goes_with_the_code(folder: Folder) -> None:
    process = await folder.start("dev", "shop:app")
    try:
        await tells(process, "is ready")
        assert await result_of(folder, "pack") == "first"

        change(folder, SHOP.replace("first", "second"))
        await tells(process, "shop.py changed", "is ready")
        assert await result_of(folder, "pack") == "second"

        change(folder, SHOP + "\ndef (\n")
        told = await tells(process, "nothing runs until the next change")
        assert told.count("SyntaxError") == 2  # the sentence, and the line that it is about
        assert "/headrace/" not in told
        alive = "SELECT count(*) FROM headrace.worker WHERE reaped_at IS NULL"
        assert (await folder.ask(alive))[0] == 0

        change(folder, SHOP.replace("first", "third"))
        await tells(process, "is ready")
        assert await result_of(folder, "pack") == "third"
    finally:
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(15):
            _, err = await process.communicate()
    assert process.returncode == 0, err.decode()


async def test_its_worker_logs_what_is_of_the_level(folder: Folder) -> None:
    process = await folder.start("dev", "shop:app", "--log-level", "error")
    try:
        # There is no log to wait for: the servers tell of themselves by their file.
        told = folder.path / ".headrace/stack.json"
        async with asyncio.timeout(30):
            while not told.exists():
                await asyncio.sleep(0.05)
        assert await result_of(folder, "pack") == "first"
    finally:
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(15):
            _, err = await process.communicate()
    assert (process.returncode, b"is ready" in err, b"info" in err) == (0, False, False), err


def change(folder: Folder, code: str) -> None:
    (folder.path / "shop.py").write_text(code)


async def tells(process: Process, *words: str) -> str:
    """What it tells until all these words have come, in this order."""
    assert process.stderr is not None
    told, left = "", list(words)
    async with asyncio.timeout(30):
        async for line in process.stderr:
            told += line.decode()
            if left[0] in line.decode():
                left.pop(0)
            if not left:
                return told
    raise AssertionError(told)


async def result_of(folder: Folder, task: str) -> str:
    job = await folder.enqueue(task)
    question = "SELECT result #>> '{}' AS result FROM headrace.job WHERE id = $1 AND state = 2"
    await until(lambda: folder.ask(question, job))
    return str((await folder.ask(question, job))["result"])


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("shop", 2, 'APP "shop" is not module:attribute'),
        ("nosuch:app", 2, "there is no module nosuch"),
        ("shop:other", 2, 'there is no "other"'),
        ("broken:app", 1, "importing broken failed: SyntaxError"),
    ],
)
async def test_an_application_that_cannot_be_imported_is_told_at_once(
    path: str, status: int, words: str, server_directory: Path
) -> None:
    (server_directory / "shop.py").write_text(SHOP)
    (server_directory / "broken.py").write_text("def (\n")
    found, out, err = await Folder(server_directory).run("dev", path)
    assert (found, out) == (status, "")
    assert words in err.splitlines()[0]
    assert not (server_directory / ".headrace").exists()


class Dev:
    """A reloader on processes that tell their pids."""

    def __init__(self, told: Path, kind: str) -> None:
        self.changes: Queue[str] = Queue()
        self._told = told
        command = [sys.executable, "-c", CHILD, str(told), kind]
        self._reloader = Reloader(command, self._changes(), patience=0.5)

    @property
    def pids(self) -> list[int]:
        return [int(one) for one in self._told.read_text().split()] if self._told.exists() else []

    async def has_started(self, n: int) -> None:
        await until(lambda: len(self.pids) >= n)
        assert len(self.pids) == n

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Until SIGINT, which comes at the end."""
        running = asyncio.create_task(self._reloader.run())
        await self.has_started(1)
        yield
        os.kill(os.getpid(), signal.SIGINT)
        async with asyncio.timeout(5):
            await running
        assert not any(Path(f"/proc/{pid}").exists() for pid in self.pids)

    async def _changes(self) -> AsyncIterator[str]:
        while True:
            yield await self.changes.get()


async def test_a_process_that_does_not_drain_is_killed(tmp_path: Path) -> None:
    dev = Dev(tmp_path / "pids", "stubborn")
    async with dev.running():
        dev.changes.put_nowait("a.py")
        await dev.has_started(2)
        assert not Path(f"/proc/{dev.pids[0]}").exists(), "never two at once"


async def test_a_process_that_was_killed_is_replaced(tmp_path: Path) -> None:
    dev = Dev(tmp_path / "pids", "obedient")
    async with dev.running():
        os.kill(dev.pids[0], signal.SIGKILL)
        await dev.has_started(2)


async def test_a_process_that_told_an_error_waits_for_a_change(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dev = Dev(tmp_path / "pids", "broken")
    async with dev.running():
        for n in (1, 2, 3):
            await dev.has_started(n)
            await until(lambda n=n: caplog.text.count("until the next change") == n)  # type: ignore[misc]
            dev.changes.put_nowait("a.py")
        await dev.has_started(4)
