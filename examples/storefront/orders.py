"""`order.placed`: published once, and a job for each of three who listen.

Events of one customer are published under a key, so each subscription runs them one after the
other, in the order of their commits. One that is tried again keeps its place.
"""

import asyncio
from dataclasses import dataclass
from uuid import UUID

from headrace import Context
from headrace.contrib import presets
from storefront.calls import post
from storefront.mails import send_mail, sold_out
from storefront.partners import notify_partner
from storefront.payments import charge
from storefront.shop import app


@dataclass(frozen=True)
class OrderPlaced:
    """What the event says."""

    order: UUID
    customer: str
    product: str
    pieces: int
    cents: int


placed = app.topic("order.placed", OrderPlaced)


@placed.subscribe("order-processor")
@app.task(**presets.ORDERS)
async def process_order(ctx: Context, event: OrderPlaced) -> int:
    """Write the invoice, with the customer's next number: nobody else counts at the same time."""
    said = await asyncio.to_thread(post, "/tax", {"cents": event.cents}, key=ctx.idempotency_key)
    async with ctx.transaction() as tx:
        nth: int = await tx.fetchval(
            """INSERT INTO storefront.invoice
               SELECT $1, count(*) + 1, $2, $3 FROM storefront.invoice WHERE customer = $1
               RETURNING nth""",
            event.customer,
            event.order,
            said.body["tax"],
        )
    return nth


@placed.subscribe("inventory-updater")
@app.task(queue="inventory")
async def reserve(ctx: Context, event: OrderPlaced) -> str:
    """Take the pieces from the stock; only then is the card charged.

    Stock, status and the next job commit with the completion of this one: exactly once, however
    often it starts.
    """
    async with ctx.transaction() as tx:
        left = await tx.fetchval(
            """UPDATE storefront.product SET stock = stock - $2
               WHERE name = $1 AND stock >= $2 RETURNING stock""",
            event.product,
            event.pieces,
        )
        status = "sold out" if left is None else "reserved"
        email: str = await tx.fetchval(
            "UPDATE storefront.purchase SET status = $2 WHERE id = $1 RETURNING email",
            event.order,
            status,
        )
        if left is None:
            await send_mail.enqueue(sold_out(email, event.order), tx=tx)
        else:
            await charge.enqueue(event.order, event.cents, tx=tx)
    return status


@placed.subscribe("notification-sender")
@app.task(queue="notifications")
async def notify(ctx: Context, event: OrderPlaced) -> None:
    """Tell whoever wants to hear of orders."""
    async with ctx.transaction() as tx:
        said = {"type": "order.placed", "data": {"order": str(event.order)}}
        await notify_partner.enqueue("partner", said, tx=tx)
