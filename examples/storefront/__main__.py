"""A day in the shop, on servers of its own, and the account of it.

With --kill both workers are killed in the middle of it, and another one begins.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path

import asyncpg
from sqlalchemy.ext.asyncio import create_async_engine

from headrace import JobDead
from storefront import day
from storefront.account import Line, Witnesses, as_table, reported, take_account
from storefront.outside import Mailbox, Services, mail_server, serving
from storefront.shop import PARTNER_SECRET, PAYMENT_SECRET, app
from storefront.site import Site
from storefront.stage import run, servers, workers

_PATIENCE = 120.0
_HELD = 12  # the mail that is on its way when the workers are killed


def main() -> int:
    """Status 0 only if all is as it must be."""
    parser = argparse.ArgumentParser(prog="python -m storefront", description=__doc__)
    parser.add_argument("--kill", action="store_true", help="kill -9 both workers in between")
    parser.add_argument("--json", action="store_true", help="the account for machines")
    options = parser.parse_args()
    if options.kill:
        os.environ.setdefault("HEADRACE_LEASE", "3s")  # 15 s, else, until their jobs run again
    with tempfile.TemporaryDirectory() as folder, servers(Path(folder) / "servers") as url:
        try:
            lines = asyncio.run(_live(url, Path(folder) / "pictures", kill=options.kill))
        finally:
            app.stop_sync()  # what the web server's threads connected
    told = json.dumps([asdict(line) for line in lines]) if options.json else as_table(lines)
    sys.stdout.write(f"{told}\n")
    return 0 if all(line.right for line in lines) else 1


async def _live(database_url: str, pictures: Path, *, kill: bool) -> list[Line]:
    """From the first click of the day until all is over."""
    async with AsyncExitStack() as until_night:
        database = await asyncpg.connect(database_url)
        until_night.push_async_callback(database.close)
        engine = create_async_engine(database_url.replace("postgresql:", "postgresql+asyncpg:"))
        until_night.push_async_callback(engine.dispose)
        await day.open_shop(database, pictures)

        mailbox, site = Mailbox(hold=_HELD if kill else 0), Site()
        services = Services(PAYMENT_SECRET, PARTNER_SECRET, hook=site.url)
        await until_night.enter_async_context(serving(site))
        await until_night.enter_async_context(serving(services))
        address = await until_night.enter_async_context(mail_server(mailbox))
        told = {"MAIL": address, "OUTSIDE": services.url, "PICTURES": str(pictures)}
        os.environ |= {f"STOREFRONT_{name}": value for name, value in told.items()}
        at_work = until_night.enter_context(workers(second=True))

        await until_night.enter_async_context(app)
        uploaded = await day.upload_pictures()
        await day.look_around()
        clicks = await day.buy(engine)
        if kill:
            await asyncio.wait_for(mailbox.held.wait(), _PATIENCE)
            for worker in at_work:
                worker.kill()  # one of them has sent a mail, and has not heard that it was taken
            mailbox.go_on.set()
            until_night.enter_context(workers(second=False))

        for picture in uploaded:
            try:
                await picture.result(timeout="2m")
            except JobDead:
                clicks["too large"] += 1
                day.upload_it_smaller(pictures)
                await asyncio.to_thread(run, "dlq", "replay", str(picture.id))
                await picture.result(timeout="2m")
        seen = Witnesses(database, pictures, clicks, site, services, mailbox)
        await _until_all_is_right(seen)
        report = await app.get(await app.schedules.run("nightly-report"))
        sold: dict[str, int] = await report.result()
        return [*await take_account(seen), reported(sold["cents"])]


async def _until_all_is_right(seen: Witnesses) -> None:
    """Or, if something never is, two minutes."""
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        if all(line.right for line in await take_account(seen)):
            return
        await asyncio.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
