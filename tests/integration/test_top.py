"""headrace top: as a program in a terminal, and without one."""

import asyncio
import contextlib
import fcntl
import json
import os
import pty
import struct
import sys
import termios
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from headrace import Headrace
from headrace.engines.ledgered import LedgeredEngine
from headrace.worker.worker import Worker
from integration.served import served, until
from jobsmith import Jobsmith

PROGRAM = Path(sys.executable).with_name("headrace")


class Terminal:
    """A terminal of some size with a program in it."""

    def __init__(self, process: Process, keyboard: int) -> None:
        self.process = process
        self._keyboard = keyboard
        self._shown = bytearray()
        asyncio.get_running_loop().add_reader(keyboard, self._read)

    @property
    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self._keyboard)[3] & termios.ECHO)

    def shows(self, words: str) -> bool:
        return words.encode() in self._shown

    def press(self, key: bytes) -> None:
        os.write(self._keyboard, key)

    def forget(self) -> None:
        self._shown.clear()

    def _read(self) -> None:
        try:
            self._shown += os.read(self._keyboard, 65536)
        except OSError:  # nobody has the other side open any more
            asyncio.get_running_loop().remove_reader(self._keyboard)


@contextlib.asynccontextmanager
async def terminal(url: str, width: int, *arguments: str) -> AsyncIterator[Terminal]:
    keyboard, screen = pty.openpty()
    fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    process = await asyncio.create_subprocess_exec(
        PROGRAM,
        *arguments,
        stdin=screen,
        stdout=screen,
        stderr=screen,
        env={"PATH": "/usr/bin:/bin", "TERM": "xterm", "HEADRACE_DATABASE_URL": url},
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    shown = Terminal(process, keyboard)
    try:
        yield shown
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        asyncio.get_running_loop().remove_reader(keyboard)
        os.close(screen)
        os.close(keyboard)


@pytest.mark.parametrize(("width", "end"), [(100, b"q"), (30, b"\x03")], ids=["q", "ctrl-c"])
async def test_the_page_lives_until_a_key_ends_it(smith: Jobsmith, width: int, end: bytes) -> None:
    await smith.insert(1_234)
    async with terminal(smith.url, width, "top") as screen:
        await until(lambda: screen.shows("1,234"))
        assert screen.shows("main")
        assert not screen.echoes
        await smith.insert(4_000)
        await until(lambda: screen.shows("5,234"))
        screen.press(end)
        async with asyncio.timeout(5):
            assert await screen.process.wait() == 0
        assert screen.echoes
        assert not screen.shows("Traceback")


async def test_the_page_outlives_a_database_that_is_away(
    postgres_url: str, migrated_url: str
) -> None:
    name = urlsplit(migrated_url).path.removeprefix("/")
    server = await asyncpg.connect(postgres_url)
    async with terminal(migrated_url, 300, "top") as screen:
        await until(lambda: screen.shows("jobs/s"))
        await server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name
        )
        await until(lambda: screen.shows("asked again each second"))
        screen.forget()
        await server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        await until(lambda: screen.shows("jobs/s"))
        screen.process.terminate()
        assert await screen.process.wait() == 0
    await server.close()


async def test_without_a_terminal_it_is_one_snapshot(served_shop: Headrace) -> None:
    url = str(served_shop.settings.database_url)
    status, out, err = await run(url, "top", "--json")
    assert status == 0, err
    seen = json.loads(out)
    (queue,) = seen["queues"]
    assert (queue["queue"], queue["running"], queue["out_per_second"]) == ("work", 3, 0.0)
    assert (seen["lane"]["mode"], seen["jobs_per_second"]) == ("direct", 0.0)
    (worker,) = seen["workers"]
    assert (worker["pid"], worker["queues"], worker["slots"]) == (os.getpid(), ["work"], 4)
    assert worker["busy"] == 3
    assert {one["role"]: one["pid"] for one in seen["leaders"]}["reaper"] == os.getpid()
    status, out, err = await run(url, "top")
    assert (status, err) == (0, "")
    assert [line.split()[:2] for line in out.splitlines()[-1:]] == [
        [f"{worker['host']}:{os.getpid()}", "3/4"]
    ]


@pytest.fixture
async def served_shop(migrated_url: str, lane_url: str) -> AsyncIterator[Headrace]:
    """An application whose worker runs three jobs, and has said so."""
    async with served("direct", migrated_url, lane_url, lease=1.5) as app:
        over = asyncio.Event()

        @app.task(queue="work")
        async def wait() -> None:
            await over.wait()

        worker = Worker(app, {"work": 4})
        await worker.start()
        await app.enqueue_many([wait.job() for _ in range(3)])
        await until(lambda: is_told(app, 3))
        yield app
        over.set()
        await worker.stop()


async def is_told(app: Headrace, busy: int) -> bool:
    assert isinstance(app.engine, LedgeredEngine)
    return [one.busy for one in (await app.engine.ledger.inspector.fleet()).workers] == [busy]


async def run(url: str, *arguments: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        PROGRAM,
        *arguments,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        env={"PATH": "/usr/bin:/bin", "HEADRACE_DATABASE_URL": url},
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()
