"""From paid to shipped: a flow, pick -> pack -> ship, and what the customer hears in any case."""

import asyncio
from uuid import UUID

from headrace import Context, Dead, Flow, RateLimit, State
from storefront.calls import post
from storefront.mails import on_its_way, refunded, send_mail
from storefront.shop import app

carrier = RateLimit("carrier", "50/s")


def fulfil(order: UUID) -> Flow:
    """The jobs of a paid order. Where a step is dead, the next ones are cancelled; `tell` runs."""
    flow = app.flow(f"order {order}")
    shipped = flow.chain(pick.job(order), pack.job(order), ship.job(order))
    flow.add(tell.job(order), after=shipped, on_failure="ignore")
    return flow


@app.task(queue="warehouse")
async def pick(ctx: Context, order: UUID) -> str:
    """Fetch it from the shelf."""
    async with ctx.transaction() as tx:
        return str(
            await tx.fetchval("SELECT product FROM storefront.purchase WHERE id = $1", order)
        )


@app.task(queue="warehouse")
async def pack(ctx: Context, order: UUID) -> str:  # noqa: ARG001 - every step gets the order
    """Wrap what was picked. Mirrors break."""
    (picked,) = await ctx.parents()
    if picked.result == "mirror":
        raise Dead("the mirror is broken")
    return f"a parcel with a {picked.result}"


@app.task(queue="warehouse", retry="steps", limits=[carrier])
async def ship(ctx: Context, order: UUID) -> str:
    """Hand it to the carrier, who knows the parcel by the job's id."""
    asked = {"order": str(order)}
    answer = await asyncio.to_thread(post, "/parcels", asked, key=ctx.idempotency_key)
    return str(answer.body["id"])


@app.task(queue="warehouse")
async def tell(ctx: Context, order: UUID) -> None:
    """Close the order: shipped, or refunded."""
    (shipping,) = await ctx.parents()
    tracking = shipping.result if shipping.state is State.COMPLETED else None
    async with ctx.transaction() as tx:
        email: str = await tx.fetchval(
            """UPDATE storefront.purchase SET status = $2, tracking = $3
               WHERE id = $1 RETURNING email""",
            order,
            "refunded" if tracking is None else "shipped",
            tracking,
        )
        if tracking is None:
            words = refunded(email, order, "it broke on our table")
        else:
            words = on_its_way(email, order, str(tracking))
        await send_mail.enqueue(words, tx=tx)
