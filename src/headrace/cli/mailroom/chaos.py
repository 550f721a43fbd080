"""The mailroom in a storm: everything that can die is killed, and the counts agree all the same."""

import asyncio
import json
import math
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from headrace.cli.mailroom.bars import Bars, bars
from headrace.cli.mailroom.crew import Crew
from headrace.cli.mailroom.once import QUEUES, Input, open_input
from headrace.cli.mailroom.postman import Postman
from headrace.cli.mailroom.storm import STORM_SECONDS, Storm
from headrace.cli.output import note, noting_if_it_lasts
from headrace.embedded import EmbeddedPostgres, EmbeddedValkey
from headrace.ledger.migrate import migrate
from headrace.mailroom import agreement
from headrace.mailroom.app import app
from headrace.mailroom.mailbox_server import MailboxServer
from headrace.mailroom.recount import Count
from headrace.mailroom.sources import RawMessage

_PACE = 40.0  # messages a second
_PONDERS = 0.3  # seconds that the mail server takes, so that each kill meets mail that is just sent
_WORKERS = 2
_GREYLISTED = 3
_LEASE = "3s"  # of the workers: after it the jobs of a dead one run again
_PATIENCE = 45.0  # seconds without PostgreSQL, and until all is over when the storm is
_LOOK = 0.5
_SHOWN = 20  # messages from one look at the bars to the next


class Servers(NamedTuple):
    """Servers of its own: those of a folder are not to be killed, others use them."""

    postgres: EmbeddedPostgres
    valkey: EmbeddedValkey


@contextmanager
def own_servers() -> Iterator[Servers]:
    """Both, in a folder that is gone afterwards; this process and its children go by them."""
    with TemporaryDirectory(prefix="headrace-") as folder:
        Path(folder).chmod(0o711)  # PostgreSQL runs as another account where root starts it
        servers = Servers(
            EmbeddedPostgres(Path(folder) / "postgres"), EmbeddedValkey(Path(folder) / "valkey")
        )
        with noting_if_it_lasts("starting PostgreSQL and Valkey ..."):
            servers.postgres.start()
            servers.valkey.start()
        try:
            os.environ["HEADRACE_DATABASE_URL"] = servers.postgres.url
            os.environ["HEADRACE_REDIS_URL"] = servers.valkey.url
            os.environ["HEADRACE_LEASE"] = _LEASE
            yield servers
        finally:
            servers.valkey.stop()
            servers.postgres.stop()


async def run_chaos(servers: Servers) -> int:
    """Run the mailroom in a storm, then print its summary and what was killed as a line of JSON.

    Returns:
        The exit status: 0 when input, ledger, rows and mailbox agree, and no answer was sent more
        often than its job can have run.

    Raises:
        MailSourceError: there is no mail to work on.
    """
    mail = _enough(open_input(None))
    url = servers.postgres.url
    await migrate(url)
    began = time.monotonic()
    note(f"mail from {mail.name}")
    with (
        MailboxServer(greylist=_GREYLISTED, ponders=_PONDERS) as mailbox,
        bars(mail.count) as shown,
    ):
        os.environ["MAILROOM_SMTP"] = f"{mailbox.host}:{mailbox.port}"
        async with (
            app,
            Postman(url, patience=_PATIENCE) as postman,
            Postman(url, patience=_PATIENCE) as observer,
            Crew(_WORKERS, QUEUES, shown.report) as crew,
        ):
            await crew.work()
            batch = await postman.begin(mail.name)
            storm = Storm(crew, servers.valkey, observer, mailbox.pondering, shown.report)
            await asyncio.gather(_bring(mail, batch, postman, shown), storm.rage())
            rows, jobs = await _finish(observer, batch, shown)
    sent = mailbox.deliveries()
    differences = agreement.disagreements(mail.count, rows, jobs, sent)
    differences += agreement.sent_too_often(jobs, sent, lanes_lost=storm.killed["valkey"])
    if left := agreement.unfinished(jobs):
        differences.append(f"{left} jobs are not over {_PATIENCE:.0f} s after the last kill")
    for difference in differences:
        note(f"disagreement: {difference}")
    summary = agreement.summarise(rows, jobs, sent, time.monotonic() - began)
    storm_told = {"sent_again": len(sent) - int(summary["sent"]), "killed": storm.killed}
    sys.stdout.write(json.dumps({**summary, **storm_told}) + "\n")
    return 1 if differences else 0


def _enough(mail: Input) -> Input:
    """The mail as often as it takes to outlast the storm."""
    messages = list(mail.messages)
    rounds = math.ceil(STORM_SECONDS * _PACE / len(messages))
    return Input(
        name=f"{mail.name}, {rounds} times",
        messages=[
            RawMessage(f"{n}/{one.key}", one.content) for n in range(rounds) for one in messages
        ],
        count=Count(
            messages=mail.count.messages * rounds,
            attachments=mail.count.attachments * rounds,
            bounces=mail.count.bounces * rounds,
            acknowledgements=mail.count.acknowledgements * rounds,
        ),
    )


async def _bring(mail: Input, batch: int, postman: Postman, shown: Bars) -> None:
    due = time.monotonic()
    for n, message in enumerate(mail.messages):
        await postman.bring(batch, message)
        if n % _SHOWN == 0:
            shown.show(await postman.ask(lambda one: agreement.read_progress(one, batch)))
        due += 1 / _PACE
        await asyncio.sleep(max(0.0, due - time.monotonic()))


async def _finish(
    observer: Postman, batch: int, shown: Bars
) -> tuple[agreement.Rows, agreement.Jobs]:
    """Wait until every job is over, or the patience is."""
    until = time.monotonic() + _PATIENCE
    while True:
        shown.show(await observer.ask(lambda one: agreement.read_progress(one, batch)))
        rows = await observer.ask(lambda one: agreement.read_rows(one, batch))
        jobs = await observer.ask(partial(_ledger_of, rows))
        if not agreement.unfinished(jobs) or time.monotonic() > until:
            return rows, jobs
        await asyncio.sleep(_LOOK)


async def _ledger_of(rows: agreement.Rows, _connection: object) -> agreement.Jobs:
    return await agreement.read_ledger(app, rows)
