"""A day in the shop: who buys what, uploads what and looks at what."""

import asyncio
from collections import Counter
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
from PIL import Image
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from headrace import JobHandle
from headrace.contrib import images
from storefront.analytics import Happening, track
from storefront.checkout import Order, VoucherSpent, check_out
from storefront.pictures import draw, thumbnail
from storefront.shop import app

CENTS = {"cup": 1200, "kettle": 4900, "lamp": 8900, "mirror": 3900}
STOCK = {"cup": 100, "kettle": 50, "lamp": 3, "mirror": 10}
BUYS = {  # each customer's orders, one after the other: the product and how many
    "ann": [("cup", 2), ("lamp", 1), ("kettle", 1), ("cup", 1)],
    "bob": [("lamp", 1), ("cup", 4), ("mirror", 1), ("cup", 1)],
    "cem": [("kettle", 2), ("lamp", 1), ("cup", 1), ("kettle", 1)],
    "dua": [("cup", 6), ("cup", 1), ("lamp", 1), ("cup", 2)],
    "eve": [("kettle", 1), ("cup", 3), ("cup", 1), ("lamp", 1)],
    "fay": [("cup", 1), ("kettle", 1), ("cup", 5), ("cup", 1)],
}
CLICK_TWICE = ("ann", "cem", "eve")  # on their first order
TRY_A_SPENT_VOUCHER = ("bob", "dua")  # with one more order, which never comes to be
VIEWS = 400
TOO_LARGE = "poster"


async def open_shop(database: asyncpg.Connection, pictures: Path) -> None:
    """Make the tables anew, fill the shelves, and take pictures."""
    async with database.transaction():
        await database.execute("DROP SCHEMA IF EXISTS storefront CASCADE")
        await database.execute(Path(__file__).with_name("schema.sql").read_text("utf-8"))
        await database.executemany(
            "INSERT INTO storefront.product VALUES ($1, $2, $3)",
            [(name, CENTS[name], STOCK[name]) for name in CENTS],
        )
        await database.execute(
            "INSERT INTO storefront.voucher VALUES ('WELCOME', NULL), ('SUMMER', gen_random_uuid())"
        )
    for folder in ("uploaded", "shown"):
        (pictures / folder).mkdir(parents=True)
    for name in CENTS:
        Image.radial_gradient("L").resize((640, 480)).save(pictures / f"uploaded/{name}.jpg")
    Image.new("L", (2000, 1500)).save(pictures / f"uploaded/{TOO_LARGE}.jpg")


async def upload_pictures() -> list[JobHandle[images.Picture]]:
    """A thumbnail for each product, and one picture that is too large to be opened."""
    return await app.enqueue_many([draw.job(thumbnail(name)) for name in (*CENTS, TOO_LARGE)])


def upload_it_smaller(pictures: Path) -> None:
    """What somebody does who was told; then the dead job is replayed."""
    Image.new("L", (1000, 750)).save(pictures / f"uploaded/{TOO_LARGE}.jpg")


async def look_around() -> None:
    """Every click is an event of its own."""
    products = list(CENTS)
    views = [Happening("view", products[n % len(products)]) for n in range(VIEWS)]
    await app.enqueue_many([track.job(view) for view in views])


async def buy(engine: AsyncEngine) -> Counter[str]:
    """All customers at once, each one order after the other; counts how they went."""
    everybody = [_buy(engine, customer) for customer in BUYS]
    return sum(await asyncio.gather(*everybody), Counter())


async def _buy(engine: AsyncEngine, customer: str) -> Counter[str]:
    went: Counter[str] = Counter()
    for n, (product, pieces) in enumerate(BUYS[customer]):
        cart = uuid4()
        clicks = 2 if n == 0 and customer in CLICK_TWICE else 1
        voucher = "WELCOME" if n == 0 and customer == "ann" else ""
        placed = await asyncio.gather(
            *(
                _click(engine, _order(customer, product, pieces, cart), voucher)
                for _ in range(clicks)
            )
        )
        went.update("placed" if new else "again" for new in placed)
    if customer in TRY_A_SPENT_VOUCHER:
        try:
            await _click(engine, _order(customer, "cup", 1, uuid4()), "SUMMER")
        except VoucherSpent:
            went["rolled back"] += 1
    return went


async def _click(engine: AsyncEngine, order: Order, voucher: str) -> bool:
    async with AsyncSession(engine) as session:
        return await check_out(session, order, voucher)


def _order(customer: str, product: str, pieces: int, cart: UUID) -> Order:
    return Order(
        id=cart,
        customer=customer,
        email=f"{customer}@customers.example",
        product=product,
        pieces=pieces,
        cents=pieces * CENTS[product],
    )
