"""Signed webhooks to others: a job names an endpoint, and holds neither its URL nor its secret."""

from headrace.contrib import webhooks
from storefront.shop import OUTSIDE, PARTNER_SECRET, app

_ENDPOINTS = {"partner": webhooks.Endpoint(f"{OUTSIDE}/partner", secrets=(PARTNER_SECRET,))}

# Loopback is for this example alone: without `allow` only public addresses are sent to, by https.
notify_partner = webhooks.register(app, _ENDPOINTS, allow=("127.0.0.1/32",))
