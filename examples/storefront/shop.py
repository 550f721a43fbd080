"""The application, and where the servers are that the shop calls."""

import os

from headrace import Headrace

app: Headrace = Headrace("storefront")
app.queue("payments", promise="strict")  # two runs at once never, if it can be helped
app.queue("analytics", promise="loss-tolerant")  # a crash of PostgreSQL may lose the last moments

MAIL_SERVER: str = os.environ.get("STOREFRONT_MAIL", "127.0.0.1:2525")
OUTSIDE: str = os.environ.get("STOREFRONT_OUTSIDE", "http://127.0.0.1:8025")
PICTURES: str = os.environ.get("STOREFRONT_PICTURES", "/srv/pictures")
PAYMENT_SECRET: str = os.environ.get("STOREFRONT_PAYMENT_SECRET", "only for this example")
PARTNER_SECRET: str = os.environ.get("STOREFRONT_PARTNER_SECRET", "whsec_" + "c3RvcmVmcm9u" * 3)
