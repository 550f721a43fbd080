"""What was sold, each night."""

from headrace import Context
from storefront.shop import app


@app.schedule("nightly-report", cron="0 3 * * *", tz="Europe/Berlin")
@app.task(queue="reports")
async def report(ctx: Context) -> dict[str, int]:
    """Orders and cents that were shipped."""
    async with ctx.transaction() as tx:
        sold = await tx.fetchrow(
            """SELECT count(*) AS orders, coalesce(sum(cents), 0) AS cents
               FROM storefront.purchase WHERE status = 'shipped'"""
        )
    return {"orders": sold["orders"], "cents": sold["cents"]}
