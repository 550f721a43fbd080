"""The mailroom as a show: mail comes in steadily until Ctrl-C, and some of it goes wrong."""

import asyncio
import os
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from headrace.cli.mailroom.crew import Crew
from headrace.cli.mailroom.once import QUEUES, open_input
from headrace.cli.mailroom.postman import Postman
from headrace.cli.mailroom.screen import Screen
from headrace.cli.mailroom.tally import Counts, Tally, tally
from headrace.cli.session import actor
from headrace.cli.top.page import page
from headrace.cli.top.rates import Rates
from headrace.cli.top.reading import EVERY
from headrace.config import read_settings
from headrace.connect import inspecting
from headrace.errors import HeadraceError, LedgerUnavailable
from headrace.ledger.bulk import change_matching
from headrace.ledger.migrate import migrate
from headrace.mailroom.app import answer_message, app, forget_answered, read_message
from headrace.mailroom.mailbox_server import MailboxServer
from headrace.model.inspection import JobFilter
from headrace.model.state import WAITING
from headrace.ports.inspector import Inspector
from headrace.supervisor.signals import draining

_PAUSE = 0.2  # seconds from one message to the next
_DELAYED, _DELAY = 7, "15s"  # one message in so many is read later
_PRIORITIES = ("normal", "normal", "high", "normal", "low")
_DEFERS, _REFUSES = 10, 200  # one answer in so many is put off, refused for good
_PATIENCE = 60.0  # seconds without PostgreSQL


async def run_show(database_url: str, path: Path | None) -> int:
    """Run until SIGINT or SIGTERM, or until something has died that cannot be replaced.

    Args:
        database_url: of the ledger and the mailroom's tables.
        path: a Maildir, an mbox, a folder of messages or one message; None for the default.

    Returns:
        The exit status.

    Raises:
        MailSourceError: there is no mail to work on.
    """
    name = open_input(path).name  # a wrong path is told before anything is started
    await migrate(database_url)
    settings = read_settings({"database_url": database_url})
    with MailboxServer(defers=_DEFERS, refuses=_REFUSES, keeps=0) as mailbox:
        os.environ["MAILROOM_SMTP"] = f"{mailbox.host}:{mailbox.port}"
        async with (
            app,
            inspecting(settings) as inspector,
            Postman(database_url, patience=_PATIENCE) as postman,
        ):
            return await Show(name, path, mailbox, inspector, postman).run()


@dataclass
class Show:
    """The parts of a show.

    Attributes:
        name: of the mail.
        path: where it is from.
        mailbox: where answers go.
        inspector: tells of the queues.
        postman: brings the mail in.
    """

    name: str
    path: Path | None
    mailbox: MailboxServer
    inspector: Inspector
    postman: Postman
    screen: Screen = field(default_factory=Screen)
    before: Counts = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    async def run(self) -> int:
        """Run until a signal, or until a part has died; then say how it went."""
        self.screen.say(f"mail from {self.name}")
        await self._clear()
        self.before = await self._counts()
        ended = asyncio.Event()
        crew = Crew(1, QUEUES, self.screen.report)
        with draining(ended.set), self.screen.alive():
            async with crew:
                why = await _first(ended.wait(), self._feed(), self._guard(), self._look_on())
        if isinstance(why, str):
            self.screen.report(why)
        await self._sum_up()
        return 1 if isinstance(why, str) else 0

    async def _feed(self) -> str:
        """Bring mail in, round after round; returns why no more comes."""
        due = time.monotonic()
        while True:
            try:
                batch = await self.postman.begin(self.name)
                await self.postman.ask(forget_answered)
                for n, message in enumerate(open_input(self.path).messages):
                    await self.postman.bring(
                        batch,
                        message,
                        delay="0s" if n % _DELAYED else _DELAY,
                        priority=_PRIORITIES[n % len(_PRIORITIES)],
                    )
                    due = max(due + _PAUSE, time.monotonic())
                    await asyncio.sleep(due - time.monotonic())
            except HeadraceError as exc:
                return f"no more mail comes in: {exc}"

    async def _guard(self) -> str:
        """Look after the mail server; returns when it has died."""
        while True:
            if not self.mailbox.alive:
                return "the mail server has died: no answer can be sent"
            await asyncio.sleep(EVERY / 2)

    async def _look_on(self) -> None:
        """Show how it goes; says once that PostgreSQL is away, and that it is back."""
        rates, away = Rates(), False
        while True:
            try:
                counts, fleet = await self._counts(), await self.inspector.fleet()
            except LedgerUnavailable as exc:
                if not away:
                    self.screen.report(str(exc))
                away = True
            else:
                if away:
                    self.screen.report("PostgreSQL is back")
                away = False
                queues = list(counts.values())
                rates.read(queues, time.monotonic())
                line = str(self._tally(counts))
                shown = partial(page, f"Ctrl-C ends; {line}", queues, fleet, rates)
                self.screen.show(shown, line)
            await asyncio.sleep(EVERY)

    def _tally(self, counts: Counts) -> Tally:
        return tally(
            self.before, counts, mails=self.postman.brought, put_off=self.mailbox.deferred()
        )

    async def _counts(self) -> Counts:
        return {one: await self.inspector.queue(one) for one in QUEUES}

    async def _clear(self) -> int:
        """Cancel what waits: whoever reads mail here next has a mail server of their own."""
        cancelled = 0
        for task in (read_message, answer_message):
            wanted = JobFilter(states=WAITING, task=task.name)
            cancel = partial(self.inspector.cancel, actor=actor())
            cancelled += (await change_matching(self.inspector, wanted, cancel)).total()
        return cancelled

    async def _sum_up(self) -> None:
        seconds = time.monotonic() - self.began
        try:
            told = str(self._tally(await self._counts()))
            left = await self._clear()
        except LedgerUnavailable as exc:
            self.screen.say(f"what became of {self.postman.brought:,} mails is not known: {exc}")
            return
        rest = f"; {left:,} that still waited are cancelled" if left else ""
        self.screen.say(f"in {seconds:.0f} s: {told}{rest}")


async def _first(*parts: Coroutine[object, object, object]) -> object:
    """What the first of these to end returns; the others are cut off."""
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
