"""One request to one address, which was looked at before: no redirect, no proxy, no second look."""

import asyncio
import contextlib
import re
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache

import certifi
import httpcore

from headrace.contrib.webhooks.answer import Answer, Unreached
from headrace.contrib.webhooks.endpoint import Endpoint
from headrace.contrib.webhooks.guard import Network, resolve
from headrace.contrib.webhooks.url import Target, read_target

_CONNECTING = 5.0
_AT_MOST = 4  # addresses that are tried
_READ, _READING = 64 << 10, 2.0  # of an answer's body: bytes and seconds
_SECONDS = re.compile(r"[0-9]{1,9}")
_TROUBLE = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError)
_NOT_CONNECTED = (httpcore.ConnectError, httpcore.ConnectTimeout)


async def send(
    endpoint: Endpoint,
    headers: Sequence[tuple[str, str]],
    body: bytes,
    allowed: Sequence[Network],
    trust: ssl.SSLContext | None,
) -> Answer:
    """Send a request to an endpoint and read its answer.

    Raises:
        Refused: it lies where nothing may be sent.
        Unresolved, Unreached: there was no answer.
    """
    target = read_target(endpoint.url)
    addresses = await resolve(target.host, target.port, allowed, plain=target.scheme == "http")
    fields = [("Host", target.authority), ("Content-Length", str(len(body))), *headers]
    raw = [(name.encode(), value.encode()) for name, value in fields]
    *others, last = addresses[:_AT_MOST]
    for address in others:
        with contextlib.suppress(*_NOT_CONNECTED):
            return await _exchange(target, address, endpoint.method, raw, body, trust)
    try:
        return await _exchange(target, last, endpoint.method, raw, body, trust)
    except _TROUBLE as exc:
        raise Unreached(_why(exc)) from None


async def _exchange(
    target: Target,
    address: str,
    method: str,
    headers: list[tuple[bytes, bytes]],
    body: bytes,
    trust: ssl.SSLContext | None,
) -> Answer:
    url = httpcore.URL(
        scheme=target.scheme, host=address, port=target.port, target=target.path.encode()
    )
    # The connection goes to the address; the certificate must be for the name.
    extensions = {"sni_hostname": target.host, "timeout": {"connect": _CONNECTING}}
    async with (
        httpcore.AsyncConnectionPool(trust or _trust()) as pool,
        pool.stream(method, url, headers=headers, content=body, extensions=extensions) as response,
    ):
        with contextlib.suppress(TimeoutError, *_TROUBLE):  # the status is what counts
            async with asyncio.timeout(_READING):
                await _leave_body(response)
        return Answer(response.status, _retry_after(response.headers))


async def _leave_body(response: httpcore.Response) -> None:
    """Let the other side finish, if it does so soon: some end their work with the connection."""
    read = 0
    async for part in response.aiter_stream():
        read += len(part)
        if read > _READ:
            return


@cache
def _trust() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certifi.where())


def _retry_after(headers: Sequence[tuple[bytes, bytes]]) -> timedelta | None:
    """Seconds from now, or the date of HTTP; nothing where it is neither."""
    for name, value in headers:
        if name.lower() == b"retry-after":
            told = value.decode("latin-1").strip()
            if _SECONDS.fullmatch(told):
                return timedelta(seconds=int(told))
            with contextlib.suppress(ValueError, OverflowError):
                moment = parsedate_to_datetime(told)
                return moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)
    return None


def _why(exc: BaseException) -> str:
    """The kind of an error, without its words: they may hold what is not to be shown."""
    cause: BaseException | None = exc
    while cause is not None:
        if isinstance(cause, ssl.SSLError) and cause.reason:
            return f"TLS failed: {cause.reason}"
        if isinstance(cause, ConnectionError):
            return type(cause).__name__
        cause = cause.__cause__ or cause.__context__
    return type(exc).__name__
