"""headrace demo as a show: it goes on until Ctrl-C, and says what has died."""

import asyncio
import contextlib
import os
import re
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from headrace.cli.mailroom.postman import Postman
from headrace.cli.mailroom.show import Show
from headrace.config import read_settings
from headrace.connect import inspecting
from headrace.embedded.lock import FileLock
from headrace.mailroom.app import app, forget_answered, prepare
from headrace.mailroom.mailbox_server import MailboxServer
from headrace.mailroom.sources import RawMessage
from integration.folder import Folder
from integration.served import until
from servers import copy_postgres, postgres_template

LETTER = RawMessage("one", b"From: a@example.org\nSubject: x\n\nhello\n")


@pytest.fixture
def folder(shared_directory: Path, server_directory: Path) -> Iterator[Folder]:
    copy_postgres(postgres_template(shared_directory), server_directory / ".headrace")
    yield Folder(server_directory)
    guardian = FileLock(server_directory / ".headrace" / "guardian.lock")
    assert guardian.wait(20)
    guardian.release()


@pytest.fixture
async def show(folder: Folder) -> AsyncIterator[Process]:
    show = await folder.start("demo")
    yield show
    with contextlib.suppress(ProcessLookupError):
        show.kill()
    await show.wait()


async def test_a_show_outlives_its_worker_and_sums_up(folder: Folder, show: Process) -> None:
    assert show.stderr is not None
    told = [line.decode() async for line in until_said(show.stderr, "mail from")]
    workers = "SELECT pid FROM headrace.worker"
    await until(lambda: folder.ask(workers), 30)
    first = (await folder.ask(workers))["pid"]
    os.kill(first, signal.SIGKILL)
    told = [line.decode() async for line in until_said(show.stderr, "takes its place")]
    assert f"worker {first} died by SIGKILL: its jobs run again" in "".join(told)
    answered = "SELECT 1 FROM mailroom.message WHERE answered_at IS NOT NULL"
    await until(lambda: folder.ask(answered))
    show.send_signal(signal.SIGINT)
    async with asyncio.timeout(15):
        _, err = await show.communicate()
    assert show.returncode == 0
    said = re.fullmatch(
        r"in \d+ s: (\d+) mails in, (\d+) read, (\d+) answered, .*; (\d+) that still waited are "
        r"cancelled",
        err.decode().splitlines()[-1],
    )
    assert said is not None, err.decode()
    mails, read, answers, cancelled = map(int, said.groups())
    assert mails >= read >= 1
    assert answers >= 1
    assert cancelled >= 1  # the first message is for later
    for queue in (await folder.json("queues", "list"))["queues"]:
        assert (queue["available"], queue["scheduled"], queue["retryable"]) == (0, 0, 0)


async def until_said(stream: asyncio.StreamReader, words: str) -> AsyncIterator[bytes]:
    """Lines up to the one with these words."""
    async with asyncio.timeout(30):
        async for line in stream:
            yield line
            if words.encode() in line:
                return
    pytest.fail(f"it ended without a word of {words!r}")


@pytest.fixture
def mailroom_url(migrated_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The mailroom's application, one for all tests of a process, goes by this database."""
    monkeypatch.setenv("HEADRACE_DATABASE_URL", migrated_url)
    vars(app).pop("settings", None)
    yield migrated_url
    vars(app).pop("settings", None)


async def test_a_show_whose_mail_server_died_says_so_and_ends(
    mailroom_url: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = read_settings({"database_url": mailroom_url})
    mailbox = MailboxServer()
    mailbox.start()
    monkeypatch.setenv("MAILROOM_SMTP", f"{mailbox.host}:{mailbox.port}")
    async with (
        app,
        inspecting(settings) as inspector,
        Postman(mailroom_url, patience=10) as postman,
    ):
        show = Show("tests", None, mailbox, inspector, postman)
        running = asyncio.create_task(show.run())
        await until(lambda: postman.brought)
        await asyncio.to_thread(mailbox.stop)
        async with asyncio.timeout(15):
            assert await running == 1
    assert "the mail server has died: no answer can be sent" in capfd.readouterr().err


@pytest.fixture
async def brought(mailroom_url: str) -> AsyncIterator[Postman]:
    async with app, Postman(mailroom_url, patience=5) as postman:
        yield postman


async def test_mail_is_brought_once_though_connections_break(
    brought: Postman, sql: asyncpg.Connection
) -> None:
    batch = await brought.begin("tests")
    await brought.bring(batch, LETTER)
    await sql.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE pid <> pg_backend_pid() AND datname = current_database()"
    )
    await brought.bring(batch, LETTER)  # as if the reply to its COMMIT had been lost
    await brought.bring(batch, RawMessage("two", LETTER.content), delay="1h", priority="low")
    rows = await sql.fetch(
        """SELECT key, priority, run_at > now() AS later FROM mailroom.message
           FULL JOIN headrace.job ON job.id = job_id ORDER BY key"""
    )
    assert [tuple(row) for row in rows] == [("one", 5, False), ("two", 7, True)]


async def test_what_is_answered_is_forgotten_after_an_hour(
    brought: Postman, sql: asyncpg.Connection
) -> None:
    old, new = await brought.begin("old"), await brought.begin("new")
    for batch in (old, new):
        for key in ("read", "unread", "answered", "unanswered"):
            await brought.bring(batch, RawMessage(key, LETTER.content))
    await sql.execute(
        "UPDATE mailroom.batch SET started_at = now() - interval '61 min' WHERE id = $1", old
    )
    await sql.execute("UPDATE mailroom.message SET stored_at = now() WHERE key <> 'unread'")
    await sql.execute("UPDATE mailroom.message SET answer_job = job_id WHERE key ~ 'answered'")
    await sql.execute("UPDATE mailroom.message SET answered_at = now() WHERE key = 'answered'")
    await sql.execute(
        "INSERT INTO mailroom.attachment "
        "SELECT id, 0, 'x', 'text/plain', '', '' FROM mailroom.message"
    )
    await brought.ask(forget_answered)
    left = await sql.fetch("SELECT key FROM mailroom.message WHERE batch = $1 ORDER BY key", old)
    assert [row["key"] for row in left] == ["unanswered", "unread"]
    assert await sql.fetchval("SELECT count(*) FROM mailroom.message WHERE batch = $1", new) == 4
    assert await prepare(sql, "again") > new
