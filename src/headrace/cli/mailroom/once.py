"""The mailroom on real mail, once, and whether everybody agrees on what happened."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from headrace.cli.mailroom.bars import Bars, bars
from headrace.ledger.migrate import connect, migrate
from headrace.mailroom import agreement
from headrace.mailroom.app import app, prepare, register
from headrace.mailroom.corpus import default_corpus
from headrace.mailroom.mailbox_server import MailboxServer
from headrace.mailroom.recount import Count, recount, recount_files
from headrace.mailroom.sources import RawMessage, open_source
from headrace.relay.services import services
from headrace.service import running
from headrace.worker.worker import Worker

QUEUES = {"reading": 8, "answers": 8}
_GREYLISTED = 3  # answers that the mail server puts off once, so that a retry is to be seen
_PATIENCE = 1.0


@dataclass(frozen=True, slots=True)
class Input:
    """The mail to work on: where it is from, the messages, and the separate count of them."""

    name: str
    messages: Iterable[RawMessage]
    count: Count


def open_input(path: Path | None) -> Input:
    """The mail at a path, or the default corpus.

    Raises:
        MailSourceError: there is none, or it cannot be read.
    """
    if path is None:
        corpus = default_corpus()
        return Input(corpus.name, corpus.messages, recount_files(corpus.files))
    source = open_source(path)
    for skipped in source.skipped:
        _say(f"passed over {skipped.path}: {skipped.reason}")
    return Input(f"{source.kind} {path}", source.messages(), recount(path))


async def run_once(database_url: str, path: Path | None) -> int:
    """Run one batch, then print the summary as a line of JSON.

    Args:
        database_url: of the ledger and the mailroom's tables.
        path: a Maildir, an mbox, a folder of messages or one message; None for the default.

    Returns:
        The exit status: 0 when input, ledger, rows and mailbox agree.

    Raises:
        MailSourceError: there is no mail to work on.
    """
    open_input(path)  # a wrong path is told before anything is started
    await migrate(database_url)
    with MailboxServer(greylist=_GREYLISTED) as mailbox:
        os.environ["MAILROOM_SMTP"] = f"{mailbox.host}:{mailbox.port}"
        async with app, app.living():
            worker = Worker(app, QUEUES)
            async with running(services(app.engine)):
                await worker.start()
                try:
                    agreed = await _run_batch(database_url, open_input(path), mailbox)
                    return 0 if agreed else 1
                finally:
                    await worker.stop()


async def _run_batch(url: str, mail: Input, mailbox: MailboxServer) -> bool:
    began = time.monotonic()
    before = mailbox.count()
    _say(f"mail from {mail.name}")
    connection = await connect(url)
    try:
        batch = await prepare(connection, mail.name)
        with bars(mail.count) as shown:
            for message in mail.messages:
                await register(connection, batch, message)
                shown.show(await agreement.read_progress(connection, batch))
            rows, jobs = await _finish(connection, batch, shown)
    finally:
        await connection.close()
    sent = mailbox.deliveries()[before:]
    differences = agreement.disagreements(mail.count, rows, jobs, sent)
    summary = agreement.summarise(rows, jobs, sent, time.monotonic() - began)
    for difference in differences:
        _say(f"disagreement: {difference}")
    sys.stdout.write(json.dumps(summary) + "\n")
    return not differences


async def _finish(
    connection: asyncpg.Connection, batch: int, shown: Bars
) -> tuple[agreement.Rows, agreement.Jobs]:
    """Wait until every job of the batch is over."""
    pause = 0.05
    while True:
        shown.show(await agreement.read_progress(connection, batch))
        rows = await agreement.read_rows(connection, batch)
        jobs = await agreement.read_ledger(app, rows)
        if not agreement.unfinished(jobs):
            return rows, jobs
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, _PATIENCE)


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
