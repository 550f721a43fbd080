"""Webhooks, sent and received.

deliver = webhooks.register(app, {"acme": webhooks.Endpoint(url, secrets=(secret,))})
await deliver.enqueue("acme", {"type": "order.paid", "data": {"order": 17}})

reply = await webhooks.receive(task, webhooks.Stripe((secret,)), body, headers)
"""

from headrace.contrib.webhooks.endpoint import Endpoint
from headrace.contrib.webhooks.event import Event, Reply
from headrace.contrib.webhooks.receiving import receive, receive_sync
from headrace.contrib.webhooks.schemes import GitHub, Scheme, Standard, Stripe, Unverified
from headrace.contrib.webhooks.signing import new_secret
from headrace.contrib.webhooks.task import register

__all__ = [
    "Endpoint",
    "Event",
    "GitHub",
    "Reply",
    "Scheme",
    "Standard",
    "Stripe",
    "Unverified",
    "new_secret",
    "receive",
    "receive_sync",
    "register",
]
