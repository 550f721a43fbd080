"""Values of the ready-made tasks: what is refused before anything is sent."""

import subprocess
import sys
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest

from headrace import Headrace, UsageError
from headrace.contrib import images, mail, presets, webhooks
from headrace.contrib.webhooks.guard import Refused, read_networks, resolve
from headrace.contrib.webhooks.url import read_target
from headrace.options import TaskOptions

SECRET = "whsec_" + "c2VjcmV0" * 5

INSIDE = [
    "127.0.0.1",
    "localhost",
    "2130706433",  # the same as a number
    "0177.0.0.1",  # in octal
    "0x7f.1",  # in hexadecimal, shortened
    "127.1",
    "0.0.0.0",
    "10.1.2.3",
    "172.31.255.255",
    "192.168.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "169.254.169.254",
    "168.63.129.16",
    "192.0.0.192",
    "198.19.255.255",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b:1::a00:1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%1",
    "fec0::1",
    "ff02::1",
]


@pytest.mark.parametrize("host", INSIDE)
async def test_what_is_not_public(host: str) -> None:
    with pytest.raises(Refused):
        await resolve(host, 443, (), plain=False)


@pytest.mark.parametrize("host", ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111"])
async def test_what_is_public(host: str) -> None:
    assert await resolve(host, 443, (), plain=False) == [host]
    with pytest.raises(Refused, match="its URL is not https"):
        await resolve(host, 443, (), plain=True)


async def test_what_is_allowed_besides() -> None:
    allowed = read_networks(["10.1.2.0/24", "fd00::/8"])
    assert allowed == (ip_network("10.1.2.0/24"), ip_network("fd00::/8"))
    assert await resolve("10.1.2.3", 80, allowed, plain=True) == ["10.1.2.3"]
    assert await resolve("fd00::1", 443, allowed, plain=False) == ["fd00::1"]
    with pytest.raises(Refused):
        await resolve("10.1.3.3", 443, allowed, plain=False)
    with pytest.raises(Refused, match="has a zone, or is an IPv4 address written as IPv6"):
        await resolve("::ffff:10.1.2.3", 443, allowed, plain=False)


@pytest.mark.parametrize("allow", ["10.0.0.0/8", ["10.0.0.1/8"], ["example.com"]])
def test_what_is_no_network(allow: Any) -> None:
    with pytest.raises(UsageError, match=r"^allow"):
        webhooks.register(Headrace("tests"), {}, allow=allow)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "printable"),
        ("example.com/hooks", "does not begin with https://"),
        ("ftp://example.com/s3cret", "does not begin with https://"),
        ("https:///s3cret", "names no host"),
        ("https://user:s3cret@example.com/", "holds a user or a password"),
        ("https://good.example\\@evil.example/s3cret", "printable"),
        ("https://example.com/s3cret\r\nX: y", "printable"),
        ("https://exämple.com/s3cret", "printable"),
        ("https://example.com:port/s3cret", "cannot be read"),
        ("https://example.com:99999/s3cret", "cannot be read"),
        ("https://[fe80::1%25eth0]/s3cret", "names no host"),
        ("https://[::1/s3cret", "cannot be read"),
        ("https://a..b/s3cret", "names no host"),
        ("https://example.com/" + "s3cret" * 400, "printable"),
    ],
)
def test_a_url_that_cannot_be_is_refused_and_not_shown(url: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as raised:
        webhooks.Endpoint(url, (SECRET,))
    assert "s3cret" not in str(raised.value)


def test_a_url_is_taken_apart() -> None:
    plain, other = read_target("https://example.com"), read_target("HTTPS://[2606::1]:8443/a?b#c")
    assert (plain.host, plain.port, plain.authority, plain.path) == (
        *("example.com", 443),
        *("example.com", "/"),
    )
    assert (other.scheme, other.host, other.authority, other.path) == (
        *("https", "2606::1"),
        *("[2606::1]:8443", "/a?b"),
    )


@pytest.mark.parametrize(
    "secrets", [(), ("",), ("whsec_s3cret",), ("whsec_" + "s3cret" * 40,), SECRET]
)
def test_a_secret_that_cannot_be_is_refused_and_not_shown(secrets: Any) -> None:
    for make in (
        lambda: webhooks.Endpoint("https://a.example", secrets),
        lambda: webhooks.Standard(secrets),
    ):
        with pytest.raises(UsageError, match="secret") as raised:
            make()
        assert "s3cret" not in str(raised.value)
        assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    "headers",
    [
        {"X": "a\r\nY: b"},
        {"X\n": "a"},
        {"": "a"},
        {"X": "ä"},
        {"Host": "other"},
        {"Webhook-Id": "other"},
        {"content-length": "1"},
    ],
)
def test_a_header_of_an_endpoint_that_cannot_be(headers: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="header"):
        webhooks.Endpoint("https://a.example", (SECRET,), headers)


def test_a_method_that_cannot_be() -> None:
    with pytest.raises(UsageError, match="POST, PUT, PATCH"):
        webhooks.Endpoint("https://a.example", (SECRET,), method="GET")  # type: ignore[arg-type] # the case


@pytest.mark.parametrize(
    "wrong",
    [
        {"to": []},
        {"to": ["a@example.com"] * 101},
        {"to": ["a@example.com, b@example.com"]},
        {"to": ["a@example.com\r\nBcc: b@example.com"]},
        {"to": ["a"]},
        {"to": ["@example.com"]},
        {"to": ["a b@example.com"]},
        {"to": ["ä@example.com"]},
        {"to": ["a@exämple.com"]},
        {"to": ["Group: a@example.com;"]},
        {"to": ["<a@example.com"]},
        {"to": [""]},
        {"cc": ["a\n@example.com"]},
        {"bcc": ["a"]},
        {"sender": "a\r\nX: y <a@example.com>"},
        {"reply_to": "nobody"},
        {"subject": "Hi\r\nBcc: b@example.com"},
        {"subject": "Hi\n"},
        {"subject": "x" * 501},
        {"text": ""},
        {"headers": {"X\r\nY": "z"}},
        {"headers": {"X": "y\r\nBcc: b@example.com"}},
        {"headers": {"bCc": "b@example.com"}},
        {"headers": {"Message-ID": "<x@y>"}},
        {"headers": {"Content-Type": "text/html"}},
    ],
)
def test_a_mail_that_cannot_be_is_refused_at_the_door(wrong: dict[str, Any]) -> None:
    fine: dict[str, Any] = {"to": ["Zoë <a@example.com>"], "subject": "Zoë", "text": "Hi"}
    mail.Message(**fine)
    with pytest.raises(UsageError):
        mail.Message(**{**fine, **wrong})
    task = mail.register(Headrace("tests", database_url="postgresql://none/none"), {})
    with pytest.raises(UsageError):
        task.job({**fine, **wrong})  # type: ignore[arg-type] # as it comes from another language


@pytest.mark.parametrize(
    "wrong",
    [
        {"source": ""},
        {"source": "/etc/passwd.png"},
        {"source": "../a.png"},
        {"source": "a/../../b.png"},
        {"source": "a\\b.png"},
        {"source": "a\0.png"},
        {"target": "a.gif"},
        {"target": "a"},
        {"target": "../a.png"},
        {"quality": 0},
        {"quality": 96},
        {"steps": [{"type": "rotate", "width": 1, "height": 1}]},
        {"steps": [{"type": "resize", "width": 0, "height": 1}]},
        {"steps": [{"type": "thumbnail", "width": 1, "height": 20_001}]},
        {"steps": [{"type": "crop", "left": -1, "top": 0, "width": 1, "height": 1}]},
        {"steps": [{"type": "resize", "width": 1, "height": 1}] * 11},
    ],
)
def test_work_on_an_image_that_cannot_be_is_refused_at_the_door(wrong: dict[str, Any]) -> None:
    task = images.register(
        Headrace("tests", database_url="postgresql://none/none"), "/srv", executor=None
    )
    fine = {"source": "in/a.png", "target": "out/a.JPG"}
    task.job(fine)  # type: ignore[arg-type] # as it comes from another language
    with pytest.raises(UsageError, match="work"):
        task.job({**fine, **wrong})  # type: ignore[arg-type] # as above


def test_images_are_drawn_below_a_folder_and_in_a_process_that_finds_them() -> None:
    app = Headrace("tests")
    with pytest.raises(UsageError, match="must be absolute"):
        images.register(app, "pictures")
    with pytest.raises(UsageError, match="leaves no image"):
        images.register(app, "/srv", most_pixels=0)
    with pytest.raises(UsageError, match="define it at the top level of a module"):
        images.register(app, "/srv")


def test_a_password_goes_over_tls_alone() -> None:
    with pytest.raises(UsageError, match="would go unencrypted"):
        mail.Server("smtp.example.com", user="shop", password="s3cret", security="none")
    with pytest.raises(UsageError, match="one of tls, starttls, none"):
        mail.Server("smtp.example.com", security="ssl")  # type: ignore[arg-type] # the case
    with pytest.raises(UsageError, match="sender="):
        mail.Server("smtp.example.com", sender="shop")
    assert "s3cret" not in repr(mail.Server("smtp.example.com", user="shop", password="s3cret"))


def _nothing() -> None: ...


def test_presets_are_options_of_tasks() -> None:
    app = Headrace("tests")
    every = (presets.EMAILS, presets.WEBHOOKS, presets.IMAGES, presets.ORDERS, presets.ANALYTICS)
    figures = {}
    for options in every:
        named: TaskOptions = {**options, "name": options["queue"]}
        work = app.task(**named)(_nothing)

        delays = [work.retry.delay(n, 0.0) for n in range(1, work.max_attempts)]
        seconds = [delay // timedelta(seconds=1) for delay in delays]
        figures[work.queue] = (work.max_attempts, work.timeout_seconds, seconds)
    assert figures == {
        "emails": (5, 60, [1, 5, 30, 120]),
        "webhooks": (8, 30, [1, 5, 30, 120, 600, 1800, 3600]),
        "image-processing": (3, 300, [5, 30]),
        "orders": (5, 60, [1, 10, 60, 300]),
        "analytics": (2, 10, [1]),
    }


@pytest.mark.parametrize(
    ("module", "hidden", "register"),
    [
        ("webhooks", "httpcore", "webhooks.register(app, {})"),
        ("mail", "aiosmtplib", "mail.register(app, {})"),
        ("images", "PIL", "images.register(app, '/srv')"),
    ],
)
def test_a_missing_extra_is_told_in_one_sentence(module: str, hidden: str, register: str) -> None:
    code = f"""
import sys
sys.modules[{hidden!r}] = None  # as if it were not installed
from headrace import ConfigError, Headrace
from headrace.contrib import {module}
app = Headrace("tests")
try:
    {register}
except ConfigError as exc:
    print(exc)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == (
        f"headrace.contrib.{module} needs {hidden}; run: pip install 'headrace[{module}]'\n"
    )
