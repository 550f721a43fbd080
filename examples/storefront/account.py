"""The account of the day: what must be, and what there is, counted where it arrived."""

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import asyncpg

from storefront.day import BUYS, CENTS, CLICK_TWICE, STOCK, TRY_A_SPENT_VOUCHER, VIEWS
from storefront.outside import Mailbox, Services
from storefront.site import Site


@dataclass(frozen=True)
class Line:
    """One thing that was counted; `due` is None where any number is fine."""

    what: str
    due: int | None
    found: int

    @property
    def right(self) -> bool:
        """Whether it is as it must be."""
        return self.due is None or self.due == self.found


@dataclass(frozen=True)
class Witnesses:
    """Who is asked."""

    database: asyncpg.Connection
    pictures: Path
    clicks: Counter[str]
    site: Site
    services: Services
    mailbox: Mailbox


_BOUGHT = [one for orders in BUYS.values() for one in orders]
_PIECES = {name: sum(n for product, n in _BOUGHT if product == name) for name in STOCK}
_LEFT = {name: max(0, STOCK[name] - _PIECES[name]) for name in STOCK}
_SOLD_OUT = max(0, _PIECES["lamp"] - STOCK["lamp"])  # each is an order of one
_BROKEN = _PIECES["mirror"]  # as it is with mirrors
_PAID = len(_BOUGHT) - _SOLD_OUT
_SHIPPED = _PAID - _BROKEN


def reported(cents: int) -> Line:
    """What the nightly report says."""
    sold = {name: STOCK[name] - _LEFT[name] for name in STOCK if name != "mirror"}
    due = sum(pieces * CENTS[name] for name, pieces in sold.items())
    return Line("cents in the nightly report", due, cents)


async def take_account(seen: Witnesses) -> list[Line]:
    """Count everything else."""
    async with seen.database.transaction(isolation="repeatable_read", readonly=True):
        rows = await _rows(seen.database)
    done = seen.services.count
    mails = set(seen.mailbox.received)
    thumbnails = list(seen.pictures.glob("shown/*.webp"))
    answered = seen.site.answered
    return [
        Line("orders placed", len(_BOUGHT), rows["placed"]),
        Line("second clicks, which placed nothing", len(CLICK_TWICE), seen.clicks["again"]),
        Line("rolled back, with their jobs", len(TRY_A_SPENT_VOUCHER), seen.clicks["rolled back"]),
        Line("invoices, each customer's in order", len(_BOUGHT), rows["in order"]),
        Line("orders sold out", _SOLD_OUT, rows["sold out"]),
        *(Line(f"{name}s left in stock", _LEFT[name], rows[f"stock {name}"]) for name in STOCK),
        Line("charges at the payment provider", _PAID, done("/charges")),
        Line("webhooks taken", _PAID, answered["200"]),
        Line("webhooks told to be duplicates", _PAID // 4, answered["duplicate"]),
        Line("webhooks refused, since forged", 1, answered["400"]),
        Line("parcels at the carrier", _SHIPPED, done("/parcels")),
        Line("orders shipped", _SHIPPED, rows["shipped"]),
        Line("orders refunded, since broken", _BROKEN, rows["refunded"]),
        Line("mails, each counted once", 2 * len(_BOUGHT), len(mails)),
        Line("mails that came once more", None, len(seen.mailbox.received) - len(mails)),
        Line("orders the partner heard of", len(_BOUGHT), done("/partner")),
        Line("analytics events", VIEWS + len(_BOUGHT), rows["happenings"]),
        Line("inserts that took", None, rows["inserts"]),
        Line("pictures refused, since too large", 1, seen.clicks["too large"]),
        Line("thumbnails, one by a replay", len(CENTS) + 1, len(thumbnails)),
    ]


def as_table(lines: list[Line]) -> str:
    """The account, to be read."""
    width = max(len(line.what) for line in lines)
    told = [f"{'':{width}}  {'due':>7}  {'found':>7}"]
    for line in lines:
        due = "" if line.due is None else f"{line.due:,}"
        wrong = "" if line.right else "  <- wrong"
        told.append(f"{line.what:{width}}  {due:>7}  {line.found:>7,}{wrong}")
    return "\n".join(told)


async def _rows(database: asyncpg.Connection) -> Counter[str]:
    found: Counter[str] = Counter()
    for status, number in await database.fetch(
        "SELECT status, count(*) FROM storefront.purchase GROUP BY status"
    ):
        found[status] = number
        found["all"] += number
    found["placed"] = found.pop("all", 0)
    for name, stock in await database.fetch("SELECT name, stock FROM storefront.product"):
        found[f"stock {name}"] = stock
    found["in order"] = await _in_order(database)
    (counted,) = await database.fetch(
        "SELECT count(*), count(DISTINCT insert) FROM storefront.happening"
    )
    found["happenings"], found["inserts"] = counted
    return found


async def _in_order(database: asyncpg.Connection) -> int:
    """How many invoices there are, less those that overtook an earlier order of their customer."""
    invoices = await database.fetch(
        """SELECT i.customer, p.number
           FROM storefront.invoice i JOIN storefront.purchase p ON p.id = i.purchase
           ORDER BY i.customer, i.nth"""
    )
    overtaken = [
        earlier["number"]
        for earlier, later in pairwise(invoices)
        if earlier["customer"] == later["customer"] and earlier["number"] > later["number"]
    ]
    return len(invoices) - len(overtaken)
