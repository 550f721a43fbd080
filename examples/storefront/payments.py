"""Payments: a call to the provider, at a pace that it takes, and the webhook that it sends back."""

from datetime import timedelta
from uuid import UUID

from headrace import Context, Dead, RateLimit, Retry
from headrace.contrib import webhooks
from storefront.calls import post
from storefront.fulfilment import fulfil
from storefront.shop import PAYMENT_SECRET, app

provider = webhooks.Stripe((PAYMENT_SECRET,), tolerance=timedelta(minutes=5))


@app.task(queue="payments", retry="aggressive", limits=[RateLimit.preset("stripeApi")])
def charge(ctx: Context, order: UUID, cents: int) -> str:
    """Ask for the money; the webhook tells when it is there.

    The provider knows this charge by the job's id, so asking twice charges once.
    """
    asked = {"order": str(order), "cents": cents}
    answer = post("/charges", asked, key=ctx.idempotency_key)
    if answer.status == 429:  # all workers leave the provider alone for so long
        ctx.rate_limited(after=answer.retry_after)
    if answer.status != 202:
        raise Retry(f"the provider answered {answer.status}")
    charged: str = answer.body["id"]
    return charged


@app.task(queue="payments")
async def on_payment(ctx: Context, event: webhooks.Event) -> None:
    """The money is there: mark the order as paid and let its flow begin, both or none."""
    order = UUID(event.data["data"]["order"])
    async with ctx.transaction() as tx:
        paid = await tx.fetchval(
            """UPDATE storefront.purchase SET status = 'paid'
               WHERE id = $1 AND status = 'reserved' RETURNING id""",
            order,
        )
        if paid is None:
            raise Dead(f"order {order} was paid and is not waiting for it")
        await fulfil(order).enqueue(tx=tx)
