"""A shop that works by jobs. `headrace worker storefront:app` runs them all."""

from storefront import analytics, fulfilment, mails, orders, partners, payments, pictures, report
from storefront.shop import app

__all__ = [
    "analytics",
    "app",
    "fulfilment",
    "mails",
    "orders",
    "partners",
    "payments",
    "pictures",
    "report",
]
