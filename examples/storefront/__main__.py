"""A day in the shop, on servers of its own, and the account of it.

With --kill all workers are killed in the middle of it, and others begin.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

import asyncpg
from sqlalchemy.ext.asyncio import create_async_engine

from headrace import JobDead
from headrace.contrib import presets
from headrace.embedded import Stack
from storefront import day
from storefront.account import Line, Witnesses, as_table, reported, take_account
from storefront.outside import Mailbox, Services, mail_server, serving
from storefront.pictures import draw
from storefront.shop import PARTNER_SECRET, PAYMENT_SECRET, app
from storefront.site import Site

_PATIENCE = 120.0
_HELD = 12  # the mail that is on its way when the workers are killed


def main() -> int:
    """Status 0 only if all is as it must be."""
    parser = argparse.ArgumentParser(prog="python -m storefront", description=__doc__)
    parser.add_argument("--kill", action="store_true", help="kill -9 all workers in between")
    parser.add_argument("--json", action="store_true", help="the account for machines")
    options = parser.parse_args()
    if options.kill:
        os.environ.setdefault("HEADRACE_LEASE", "3s")  # 15 s, else, until their jobs run again
    with tempfile.TemporaryDirectory() as folder, _servers(Path(folder)):
        _headrace("migrate").wait()
        try:
            lines = asyncio.run(_live(Path(folder) / "pictures", kill=options.kill))
        finally:
            app.stop_sync()  # what the web server's threads connected
    told = json.dumps([asdict(line) for line in lines]) if options.json else as_table(lines)
    sys.stdout.write(f"{told}\n")
    return 0 if all(line.right for line in lines) else 1


@contextmanager
def _servers(folder: Path) -> Iterator[None]:
    """PostgreSQL and Valkey that are gone afterwards, unless the environment names some."""
    if os.environ.get("HEADRACE_DATABASE_URL"):
        yield
        return
    with Stack(folder / "servers") as stack:
        os.environ["HEADRACE_DATABASE_URL"] = stack.database_url
        os.environ["HEADRACE_REDIS_URL"] = stack.redis_url
        yield


async def _live(pictures: Path, *, kill: bool) -> list[Line]:
    """From the first click of the day until all is over."""
    database_url = os.environ["HEADRACE_DATABASE_URL"]
    database = await asyncpg.connect(database_url)
    await day.open_shop(database, pictures)
    mailbox, site = Mailbox(hold=_HELD if kill else 0), Site()
    services = Services(PAYMENT_SECRET, PARTNER_SECRET, hook=site.url)
    engine = create_async_engine(database_url.replace("postgresql:", "postgresql+asyncpg:"))
    async with AsyncExitStack() as until_the_end:
        until_the_end.push_async_callback(database.close)
        until_the_end.push_async_callback(engine.dispose)
        await until_the_end.enter_async_context(serving(site))
        await until_the_end.enter_async_context(serving(services))
        os.environ["STOREFRONT_MAIL"] = await until_the_end.enter_async_context(
            mail_server(mailbox)
        )
        os.environ["STOREFRONT_OUTSIDE"] = services.url
        os.environ["STOREFRONT_PICTURES"] = str(pictures)
        workers = until_the_end.enter_context(_workers())
        await until_the_end.enter_async_context(app)
        uploaded = await day.upload_pictures()
        await day.look_around()
        clicks = await day.buy(engine)
        if kill:
            await asyncio.wait_for(mailbox.held.wait(), _PATIENCE)
            for worker in workers:
                worker.kill()  # SIGKILL, with the mail server's answer on its way to one of them
            mailbox.go_on.set()
            until_the_end.enter_context(_workers())
        for picture in uploaded:
            try:
                await picture.result(timeout="2m")
            except JobDead:
                clicks["too large"] += 1
        seen = Witnesses(database, pictures, clicks, site, services, mailbox)
        await _until_all_is_right(seen)
        report = await app.get(await app.schedules.run("nightly-report"))
        cents: int = (await report.result())["cents"]
        return [*await take_account(seen), reported(cents)]


async def _until_all_is_right(seen: Witnesses) -> None:
    """Or, if something never is, two minutes."""
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        if all(line.right for line in await take_account(seen)):
            return
        await asyncio.sleep(0.1)


@contextmanager
def _workers() -> Iterator[Sequence[subprocess.Popen[bytes]]]:
    """Two processes of `headrace worker`, which drain in the end; one of them draws, too."""
    all_but_pictures = app.queues - {draw.queue}
    workers = [
        _headrace("worker", "storefront:app", *_options(all_but_pictures)),
        _headrace(
            "worker", "storefront:app", *_options(all_but_pictures), f"--queue={draw.queue}:1"
        ),
    ]
    try:
        yield workers
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait()


def _options(queues: Iterable[str]) -> list[str]:
    return ["--log-level=error", *(f"--queue={queue}:{presets.CONCURRENCY}" for queue in queues)]


def _headrace(*arguments: str) -> subprocess.Popen[bytes]:
    here = Path(__file__).parents[1]
    return subprocess.Popen(
        [sys.executable, "-m", "headrace", *arguments], cwd=here, stdout=subprocess.DEVNULL
    )


if __name__ == "__main__":
    sys.exit(main())
