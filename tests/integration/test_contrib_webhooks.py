"""Outgoing webhooks, to real servers on loopback."""

import asyncio
import contextlib
import hmac
import json
import logging
import socket
import time
from base64 import b64decode
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from hashlib import sha256
from typing import Any

import asyncpg
import pytest

from headrace import Dead, Headrace, JobDead, Retry, State
from headrace.contrib import webhooks
from headrace.task import AsyncTask
from headrace.worker.worker import Worker
from integration.hooks import LOOPBACK, Request, Site, certificates, site

SECRET, NEWER = webhooks.new_secret(), webhooks.new_secret()
EVENT = {"type": "order.paid", "data": {"order": 17, "by": "Zoë"}}
Deliver = AsyncTask[[str, dict[str, Any]], int]


def endpoint(site: Site, *secrets: str, host: str = "127.0.0.1", **more: Any) -> webhooks.Endpoint:
    url = f"http://{host}:{site.port}/hooks/tok-en?a=b"
    return webhooks.Endpoint(url, secrets or (SECRET,), **more)


def delivering(**given: Any) -> Deliver:
    """The task of an application that needs no database: it is called plainly."""
    return webhooks.register(Headrace("tests"), **{"allow": LOOPBACK, **given})


def is_signed(request: Request, secret: str) -> bool:
    """As a receiver computes it, by the text of the specification."""
    sent = request.headers
    signed = f"{sent['webhook-id']}.{sent['webhook-timestamp']}.".encode() + request.body
    key = b64decode(secret.removeprefix("whsec_"))
    expected = hmac.new(key, signed, sha256).digest()
    return expected in [
        b64decode(one.removeprefix("v1,")) for one in sent["webhook-signature"].split(" ")
    ]


@pytest.fixture
async def plain() -> AsyncIterator[Site]:
    async with site() as one:
        yield one


async def test_a_job_delivers_an_event_that_is_signed_by_each_secret(
    plain: Site, app: Headrace
) -> None:
    known = {"acme": endpoint(plain, NEWER, SECRET, headers={"X-Token": "t"}, method="PUT")}
    deliver = webhooks.register(app, known, allow=LOOPBACK)
    job = await deliver.enqueue("acme", EVENT)
    await Worker(app, {"webhooks": 1}).run(burst=True)
    assert await job.result() == 204
    (got,) = plain.requests
    assert got.line == "PUT /hooks/tok-en?a=b HTTP/1.1"
    assert got.headers["host"] == f"127.0.0.1:{plain.port}"
    assert (got.headers["content-type"], got.headers["x-token"]) == ("application/json", "t")
    assert json.loads(got.body) == EVENT
    assert got.headers["webhook-id"] == str(job.id)
    assert abs(int(got.headers["webhook-timestamp"]) - time.time()) < 60
    assert is_signed(got, SECRET)
    assert is_signed(got, NEWER)
    assert not is_signed(got, webhooks.new_secret())


async def test_a_repeated_delivery_has_the_same_id(plain: Site, app: Headrace) -> None:
    plain.answers = [
        b"HTTP/1.1 500 Oh\r\nRetry-After: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ]
    known = {"acme": endpoint(plain)}
    deliver = webhooks.register(app, known, allow=LOOPBACK, retry="webhook")
    job = await deliver.enqueue("acme", EVENT)
    worker = Worker(app, {"webhooks": 1})
    async with asyncio.TaskGroup() as group:
        group.create_task(worker.run())
        assert await job.result("20s") == 200
        worker.finish()
    assert [one.headers["webhook-id"] for one in plain.requests] == [str(job.id)] * 2
    assert len({one.body for one in plain.requests}) == 1


@pytest.mark.parametrize("status", [200, 201, 204, 299])
async def test_what_is_accepted(plain: Site, status: int) -> None:
    plain.answer(status)
    assert await delivering(endpoints={"acme": endpoint(plain)})("acme", EVENT) == status


@pytest.mark.parametrize("status", [300, 301, 302, 307, 400, 401, 403, 404, 409, 410, 422])
async def test_what_is_final(plain: Site, status: int) -> None:
    plain.answer(status, f"Location: http://127.0.0.1:{plain.port}/elsewhere", "Retry-After: 5")
    with pytest.raises(Dead, match=f'^endpoint "acme" answered {status}, '):
        await delivering(endpoints={"acme": endpoint(plain)})("acme", EVENT)
    assert len(plain.requests) == 1  # no redirect is followed


def in_an_hour() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 599])
@pytest.mark.parametrize(
    ("said", "least", "most"),
    [
        (lambda: "30", 30, 30),
        (lambda: "0", 1, 1),
        (lambda: "999999999", 7200, 7200),
        (in_an_hour, 3500, 3600),
        (lambda: "Thu, 01 Jan 1970 00:00:00 GMT", 1, 1),
        (lambda: "soon", None, None),
        (lambda: "-5", None, None),
    ],
)
async def test_what_is_tried_again_and_when(
    plain: Site, status: int, said: Any, least: float | None, most: float | None
) -> None:
    plain.answer(status, f"Retry-After: {said()}")
    with pytest.raises(Retry) as raised:
        await delivering(endpoints={"acme": endpoint(plain)})("acme", EVENT)
    after = raised.value.after
    if least is None or most is None:
        assert after is None
    else:
        assert after is not None
        assert least <= after.total_seconds() <= most


async def test_who_is_gone_is_told_of_and_not_asked_again(plain: Site) -> None:
    plain.answer(410)
    gone: list[str] = []

    async def on_gone(name: str) -> None:
        gone.append(name)

    with pytest.raises(Dead, match="410"):
        await delivering(endpoints={"acme": endpoint(plain)}, on_gone=on_gone)("acme", EVENT)
    assert gone == ["acme"]


async def test_an_endpoint_that_nobody_knows(plain: Site) -> None:
    async def known(name: str) -> webhooks.Endpoint | None:
        return endpoint(plain) if name == "acme" else None

    deliver = delivering(endpoints=known)
    assert await deliver("acme", EVENT) == 204
    with pytest.raises(Dead, match='there is no endpoint "acne"; add it and replay the job'):
        await deliver("acne", EVENT)


async def test_tls_is_verified_by_the_name_though_the_connection_goes_to_the_address() -> None:
    shows, trusts = certificates("localhost")
    async with site(shows) as secure:
        deliver = delivering(endpoints=named(f"https://localhost:{secure.port}/"), trust=trusts)
        assert await deliver("acme", EVENT) == 204
        assert secure.requests[0].headers["host"] == f"localhost:{secure.port}"


@pytest.mark.parametrize("trusted", [True, False])
async def test_a_certificate_for_another_name_or_of_a_stranger(*, trusted: bool) -> None:
    shows, trusts = certificates("elsewhere.example" if trusted else "localhost")
    async with site(shows) as secure:
        source = named(f"https://localhost:{secure.port}/")
        deliver = delivering(endpoints=source, trust=trusts if trusted else None)
        with pytest.raises(Retry, match="TLS failed: CERTIFICATE_VERIFY_FAILED") as raised:
            await deliver("acme", EVENT)
        assert "localhost" not in str(raised.value)
        assert secure.requests == []


def named(url: str) -> dict[str, webhooks.Endpoint]:
    return {"acme": webhooks.Endpoint(url, (SECRET,))}


async def test_a_name_is_asked_for_once_and_the_answer_is_where_the_connection_goes(
    plain: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server of names that gives a good address first and a bad one then is of no use."""
    loop = asyncio.get_running_loop()
    answers = iter(["127.0.0.1", "127.0.0.2", "127.0.0.2"])
    asked = []

    async def rebinding(host: str, port: int, **_: Any) -> Any:
        asked.append(host)
        return [(0, 0, 0, "", (next(answers), port))]

    async with site(host="127.0.0.2", port=plain.port) as inside:
        monkeypatch.setattr(loop, "getaddrinfo", rebinding)
        deliver = delivering(
            endpoints={"acme": endpoint(plain, host="rebinding.example")}, allow=["127.0.0.1/32"]
        )
        assert await deliver("acme", EVENT) == 204
    assert (asked, len(plain.requests), inside.requests) == (["rebinding.example"], 1, [])


async def test_one_bad_address_among_good_ones_is_enough_to_send_nothing(
    plain: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def mixed(host: str, port: int, **_: Any) -> Any:  # noqa: ARG001 - as the loop's own
        return [(0, 0, 0, "", (address, port)) for address in ("127.0.0.1", "10.0.0.1")]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", mixed)
    with pytest.raises(Dead, match="one of its addresses is not public"):
        await delivering(endpoints={"acme": endpoint(plain, host="mixed.example")})("acme", EVENT)
    assert plain.requests == []


async def test_plain_http_is_for_allowed_addresses_and_loopback_is_not_public(plain: Site) -> None:
    deliver = delivering(endpoints={"acme": endpoint(plain)}, allow=())
    with pytest.raises(Dead, match='endpoint "acme" was not sent to: one of its addresses is not'):
        await deliver("acme", EVENT)
    assert plain.requests == []


async def test_the_next_address_is_tried_where_one_does_not_answer(plain: Site) -> None:
    """`localhost` is ::1, too, where nobody listens."""
    deliver = delivering(endpoints={"acme": endpoint(plain, host="localhost")})
    assert await deliver("acme", EVENT) == 204


async def test_nobody_there() -> None:
    async with site() as left:
        pass
    with pytest.raises(Retry, match=r'^endpoint "acme" was not reached: ConnectionRefusedError$'):
        await delivering(endpoints={"acme": endpoint(left)})("acme", EVENT)


async def test_a_name_without_an_address() -> None:
    deliver = delivering(endpoints=named("https://nowhere.invalid/"))
    with pytest.raises(Retry, match="was not reached: its name has no address"):
        await deliver("acme", EVENT)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200", b"SSH-2.0-x\r\n", b"\0" * 300_000])
async def test_what_is_no_answer_of_http(plain: Site, answer: bytes) -> None:
    plain.answers = [answer]
    with pytest.raises(Retry, match="was not reached: "):
        await delivering(endpoints={"acme": endpoint(plain)})("acme", EVENT)


async def test_a_body_without_end_is_left() -> None:
    """The status counts: of the body 64 KiB are read at most, and what lies in buffers between."""
    sent = 0

    async def pours(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"x" * (64 << 10))
                await writer.drain()
                sent += 64 << 10
        writer.close()

    async with await asyncio.start_server(pours, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        assert await delivering(endpoints=named(url))("acme", EVENT) == 200
    assert sent < 32 << 20


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
async def test_an_address_of_ipv6() -> None:
    async with site(host="::1") as other:
        url = f"http://[::1]:{other.port}/"
        assert await delivering(endpoints=named(url))("acme", EVENT) == 204
        assert other.requests[0].headers["host"] == f"[::1]:{other.port}"


async def test_a_server_that_never_answers_costs_the_timeout_of_the_task(app: Headrace) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the other side hangs up
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        deliver = webhooks.register(
            app, named(url), allow=LOOPBACK, timeout="200ms", max_attempts=1
        )
        job = await deliver.enqueue("acme", EVENT)
        await Worker(app, {"webhooks": 1}).run(burst=True)
        assert (await job.refresh()).state is State.DEAD


async def test_neither_url_nor_secret_is_anywhere(
    plain: Site,
    app: Headrace,
    sql: asyncpg.Connection,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    headers = {"Authorization": "Bearer cana-ry"}
    known = {"acme": endpoint(plain, headers=headers), "gone": endpoint(plain, headers=headers)}
    deliver = webhooks.register(app, known, allow=LOOPBACK, max_attempts=1)
    fine = await deliver.enqueue("acme", EVENT)
    await Worker(app, {"webhooks": 1}).run(burst=True)
    plain.answers = [b"HTTP/1.1 500 Oh\r\n\r\ntok-en of the body"]
    failed = await deliver.enqueue("acme", EVENT)
    await Worker(app, {"webhooks": 1}).run(burst=True)
    assert await fine.result() == 204
    with pytest.raises(JobDead, match='endpoint "acme" answered 500'):
        await failed.result()
    rows = await sql.fetch(
        "SELECT job::text FROM headrace.job UNION ALL SELECT e::text FROM headrace.job_event e"
    )
    told = [str(rows), caplog.text, repr(known), repr(deliver), str(await failed.refresh())]
    assert len(rows) > 2
    for canary in ("tok-en", "cana-ry", SECRET.removeprefix("whsec_")):
        assert not [one for one in told if canary in one]
