"""The mail that customers get.

The Message-ID is made of the job's id: where a run is repeated, the mail program sees one mail.
"""

from uuid import UUID

from headrace import RateLimit
from headrace.contrib import mail
from storefront.shop import MAIL_SERVER, app


async def _server(_name: str) -> mail.Server:
    """Looked up when a mail is sent: no job holds a host or a password."""
    host, _, port = MAIL_SERVER.rpartition(":")
    return mail.Server(host, int(port), security="none", sender="Storefront <shop@shop.example>")


# The options of presets.EMAILS, and no more mail a minute than a new sender is trusted with.
send_mail = mail.register(app, _server, limits=[RateLimit.preset("emailSending")])


def confirmation(email: str, order: UUID) -> mail.Message:
    """To who has placed an order."""
    return _about(order, email, "Thank you for your order", "We look whether it is in stock.")


def sold_out(email: str, order: UUID) -> mail.Message:
    """To who came too late."""
    return _about(order, email, "Sold out", "We are sorry. You have paid nothing.")


def on_its_way(email: str, order: UUID, tracking: str) -> mail.Message:
    """To who will get a parcel."""
    return _about(order, email, "On its way", f"The carrier calls it {tracking}.")


def refunded(email: str, order: UUID, why: str) -> mail.Message:
    """To who will get the money back."""
    return _about(order, email, "Your money comes back", f"We cannot ship it: {why}.")


def _about(order: UUID, email: str, subject: str, text: str) -> mail.Message:
    return mail.Message(
        to=[email], subject=subject, text=f"{text}\n", headers={"X-Order": str(order)}
    )
