"""Checkout: the order's row and its jobs commit together, or none of them ever was."""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from storefront.analytics import Happening, track
from storefront.mails import confirmation, send_mail
from storefront.orders import OrderPlaced, placed


class _Base(DeclarativeBase):
    pass


class Order(_Base):
    """A row of the shop's table; its id is that of the cart."""

    __tablename__ = "purchase"
    __table_args__ = {"schema": "storefront"}  # noqa: RUF012 - as SQLAlchemy wants it

    id: Mapped[UUID] = mapped_column(primary_key=True)
    customer: Mapped[str]
    email: Mapped[str]
    product: Mapped[str]
    pieces: Mapped[int]
    cents: Mapped[int]


class VoucherSpent(Exception):
    """The voucher was used before."""


async def check_out(session: AsyncSession, order: Order, voucher: str = "") -> bool:
    """Place an order; False if it was placed before, by the first of two clicks.

    Raises:
        VoucherSpent: nothing was written then, and no job exists.
    """
    async with session.begin():
        thanks = send_mail.options(idempotency_key=f"order-{order.id}", tx=session)
        mail = await thanks.enqueue(confirmation(order.email, order.id))
        if mail.duplicate:  # a second click waits here for the first one's commit
            return False
        session.add(order)
        event = OrderPlaced(order.id, order.customer, order.product, order.pieces, order.cents)
        await placed.publish(event, key=order.customer, tx=session)
        await track.enqueue(Happening("purchase", order.product), tx=session)
        if voucher:
            await _redeem(session, voucher, order.id)
    return True


async def _redeem(session: AsyncSession, code: str, order: UUID) -> None:
    """Raised here, the exception undoes the order, and the five jobs above."""
    spend = "UPDATE storefront.voucher SET spent_on = :o WHERE code = :c AND spent_on IS NULL"
    done = await session.execute(text(f"{spend} RETURNING code"), {"o": order, "c": code})
    if done.first() is None:
        raise VoucherSpent(code)
