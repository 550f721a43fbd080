"""The page on a terminal, from its first reading to its end."""

import asyncio
import logging
import time
from datetime import datetime

from rich.console import Group
from rich.live import Live

from headrace.cli.top.keys import on_key
from headrace.cli.top.last_words import LastWords
from headrace.cli.top.page import page, trouble
from headrace.cli.top.rates import Rates
from headrace.cli.top.reading import EVERY, read
from headrace.errors import HeadraceError
from headrace.ports.inspector import Inspector
from headrace.supervisor.signals import draining

_REMEMBERED = 10.0  # seconds


async def watch(inspector: Inspector) -> None:
    """Show the page until q, Ctrl-C or SIGTERM."""
    words = LastWords()
    logging.basicConfig(handlers=[words], level=logging.WARNING, force=True)
    ended = asyncio.Event()
    with (
        Live(screen=True, auto_refresh=False) as live,
        on_key("q", ended.set),
        draining(ended.set),
    ):
        showing = asyncio.create_task(_show(inspector, live, words))
        end = asyncio.create_task(ended.wait())
        await asyncio.wait([showing, end], return_when=asyncio.FIRST_COMPLETED)
        for task in (showing, end):
            task.cancel()  # a reading that hangs holds nobody up
        await asyncio.wait([showing, end])
    if not showing.cancelled():
        showing.result()  # only a defect ends it by itself


async def _show(inspector: Inspector, live: Live, words: LastWords) -> None:
    rates = Rates()
    while True:
        began = time.monotonic()
        try:
            queues, fleet = await read(inspector, rates)
        except HeadraceError as exc:
            live.update(trouble(f"{exc}; asked again each second, q ends"), refresh=True)
        else:
            title = f"headrace at {datetime.now().astimezone():%H:%M:%S}; q ends"
            shown = page(title, queues, fleet, rates, live.console.size)
            told = words.since(began - _REMEMBERED)
            live.update(Group(shown, trouble(told)) if told else shown, refresh=True)
        await asyncio.sleep(max(0.0, began + EVERY - time.monotonic()))
