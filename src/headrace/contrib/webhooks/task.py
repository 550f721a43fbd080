"""The task that delivers a webhook."""

import ssl
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from typing import Any, Unpack

import msgspec

from headrace import Context, Dead, Headrace, Retry
from headrace.contrib.callers import as_callers_own
from headrace.contrib.extras import need
from headrace.contrib.presets import WEBHOOKS
from headrace.contrib.references import Source, look_up
from headrace.contrib.webhooks.answer import Answer, Unreached
from headrace.contrib.webhooks.endpoint import Endpoint
from headrace.contrib.webhooks.guard import Refused, Unresolved, read_networks
from headrace.contrib.webhooks.signing import read_keys, sign
from headrace.options import TaskOptions
from headrace.task import AsyncTask

_TRY_AGAIN = {408, 425, 429}
_GONE = 410
_SOONEST, _LATEST = timedelta(seconds=1), timedelta(hours=2)


def register(
    app: Headrace,
    endpoints: Source[Endpoint],
    *,
    allow: Iterable[str] = (),
    on_gone: Callable[[str], Awaitable[None]] | None = None,
    trust: ssl.SSLContext | None = None,
    **options: Unpack[TaskOptions],
) -> AsyncTask[[str, dict[str, Any]], int]:
    """Register the task `webhook(endpoint, event)`: it sends the event as JSON, signed.

    The job holds the name of an endpoint; URL and secrets are looked up when it runs. Signature and
    headers are those of the Standard Webhooks; `webhook-id` is the id of the job, the same for all
    its attempts. The result is the status of the answer, 200 to 299. Other answers end the job, but
    408, 425, 429 and 5xx, which are tried again: when Retry-After says, within two hours, else by
    `retry`. Redirects are not followed. The endpoint is asked for its address once, and all that it
    has must be public. The timeout of the task is that of a delivery, 30 s.

    Args:
        app: whose task it is.
        endpoints: by name: a mapping, or a coroutine function that returns None for unknown ones.
        allow: networks that may be sent to though they are not public, "10.1.2.0/24"; by http, too.
        on_gone: is told the name of an endpoint that answers 410, for it wants nothing any more.
        trust: whom to trust instead of the usual certificate authorities.
        options: as in `TaskOptions`; what is not given is that of `presets.WEBHOOKS`.

    Raises:
        UsageError: an option was refused, or `allow` names no network.
        ConfigError: the extra `webhooks` is missing.
    """
    need("webhooks", "httpcore", "certifi")
    from headrace.contrib.webhooks.sending import send  # noqa: PLC0415 - who receives needs no client

    allowed = read_networks(allow)

    async def webhook(ctx: Context, endpoint: str, event: dict[str, Any]) -> int:
        """Send an event to an endpoint, signed; returns the status of its answer."""
        known = await look_up("endpoint", endpoint, endpoints)
        body = msgspec.json.encode(event)
        headers = [*_headers(str(ctx.job_id), known, body), *known.headers.items()]
        try:
            answer = await send(known, headers, body, allowed, trust)
        except Refused as exc:
            raise Dead(f'endpoint "{endpoint}" was not sent to: {exc}') from None
        except (Unresolved, Unreached) as exc:
            raise Retry(f'endpoint "{endpoint}" was not reached: {exc}') from None
        if answer.status == _GONE and on_gone is not None:
            await on_gone(endpoint)
        return _judged(endpoint, answer)

    made: TaskOptions = {"name": "webhook", **WEBHOOKS, **options}
    as_callers_own(webhook)
    task: AsyncTask[[str, dict[str, Any]], int] = app.task(**made)(webhook)
    return task


def _headers(message_id: str, endpoint: Endpoint, body: bytes) -> list[tuple[str, str]]:
    now = int(time.time())
    keys = read_keys(endpoint.secrets)
    return [
        ("Content-Type", "application/json"),
        ("User-Agent", "headrace"),
        ("webhook-id", message_id),
        ("webhook-timestamp", str(now)),
        ("webhook-signature", " ".join(sign(key, message_id, now, body) for key in keys)),
    ]


def _judged(endpoint: str, answer: Answer) -> int:
    """The status, if that is that.

    Raises:
        Retry: it may be another one later.
        Dead: it will not.
    """
    status = answer.status
    said = f'endpoint "{endpoint}" answered {status}'
    if 200 <= status < 300:
        return status
    if status in _TRY_AGAIN or status >= 500:
        after = answer.after
        raise Retry(said, after=None if after is None else min(max(after, _SOONEST), _LATEST))
    if 300 <= status < 400:
        raise Dead(f"{said}, and redirects are not followed; correct its URL and replay the job")
    raise Dead(f"{said}, which is final; correct the endpoint and replay the job")
