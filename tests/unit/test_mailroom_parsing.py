from datetime import UTC, datetime
from email.message import EmailMessage
from hashlib import sha256

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headrace.mailroom.classify import acknowledgement_recipient, classify, delivery_statuses
from headrace.mailroom.corpus import _of_cpython, _of_flufl_bounce
from headrace.mailroom.message import ParsedMessage
from headrace.mailroom.parsing import DEEPEST_NESTING, parse
from headrace.mailroom.second_reading import read_again

CORPUS = [raw.content for corpus in (_of_cpython(), _of_flufl_bounce()) for raw in corpus.messages]


def texts_of(message: ParsedMessage) -> list[str]:
    optional = (message.message_id, message.in_reply_to, message.text, message.html)
    attached = [
        text
        for part in message.attachments
        for text in (part.filename or "", part.content_type, part.sha256)
    ]
    return [
        message.subject,
        *(text for text in optional if text is not None),
        *message.from_,
        *message.to,
        *message.references,
        *message.charsets,
        *message.defects,
        *message.report_types,
        *(text for header in message.headers for text in header),
        *attached,
    ]


def check_storable(content: bytes) -> None:
    message = parse(content)
    for text in texts_of(message):
        text.encode("utf-8")  # a lone surrogate would raise
        assert "\0" not in text
    assert message.date is None or message.date.utcoffset() is not None
    assert all(part.sha256 == sha256(part.content).hexdigest() for part in message.attachments)
    classify(message)
    delivery_statuses(message)
    recipient = acknowledgement_recipient(message)
    assert recipient is None or (recipient.isascii() and recipient.count("@") == 1)
    assert read_again(content).attachments >= 0


def with_type(content_type: str, body: str = "") -> bytes:
    return f"From: a@b.example\nContent-Type: {content_type}\n\n{body}".encode()


def nested(levels: int) -> bytes:
    opening = "".join(
        f'Content-Type: multipart/mixed; boundary="b{level}"\n\n--b{level}\n'
        for level in range(levels)
    )
    return f"From: a@b.example\n{opening}\nthe core\n".encode()


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=400))
@example(b"")
@example(b"\0")
@example(b"Subject: =?utf-7?q?+2AA-?=\n\n")  # a lone surrogate
@example(b"Message-ID: <\nFrom: \n\n")
@example(b"Date: Mon, 01 Jan 0001 00:00:00 +2359\n\n")  # before the year 1 in UTC
@example(b"Date: Mon, 01 Jan 2001 00:00:00 +9999\n\n")
@example(b"Content-Type: text/plain; charset*=\0''x\n\n\xff")
@example(b"Content-Type: text/plain; name*=a\0b''%ff\n\n")
@example(b"Content-Type: text/plain; charset=unicode_escape\n\n\\ud800")
@example(b"To: " + b"(" * 8000 + b"\n\n")
def test_any_bytes_become_a_message_that_postgresql_can_hold(content: bytes) -> None:
    check_storable(content)


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_damaged_mail_becomes_a_message_that_postgresql_can_hold(data: st.DataObject) -> None:
    content = data.draw(st.sampled_from(CORPUS))
    place = data.draw(st.integers(0, len(content)))
    removed = data.draw(st.integers(0, 20))
    added = data.draw(st.binary(max_size=20))
    check_storable(content[:place] + added + content[place + removed :])


def test_a_message_is_read_whole() -> None:
    mail = EmailMessage()
    mail["From"] = "Åsa <asa@example.org>, b@example.org"
    mail["To"] = '"List, the" <c@example.org>'
    mail["Subject"] = "Grüße aus Köln"
    mail["Date"] = "Tue, 2 Jan 2024 03:04:05 +0200"
    mail["Message-ID"] = "<1@example.org>"
    mail["In-Reply-To"] = "<0@example.org>"
    mail["References"] = "<z@example.org> <0@example.org>"
    mail.set_content("привет\n", charset="koi8-r", cte="base64")
    mail.add_alternative("<p>привет</p>", subtype="html", charset="utf-8")
    mail.add_attachment(b"\0\1\2", maintype="image", subtype="png", filename="Bild é.png")
    message = parse(mail.as_bytes())
    assert message.from_ == ("asa@example.org", "b@example.org")
    assert message.to == ("c@example.org",)
    assert message.subject == "Grüße aus Köln"
    assert message.date == datetime(2024, 1, 2, 1, 4, 5, tzinfo=UTC)
    assert (message.message_id, message.in_reply_to) == ("<1@example.org>", "<0@example.org>")
    assert message.references == ("<z@example.org>", "<0@example.org>")
    assert message.text == "привет\n"
    assert message.html == "<p>привет</p>\n"
    assert message.charsets == ("koi8-r", "utf-8")
    (attachment,) = message.attachments
    assert (attachment.filename, attachment.content_type) == ("Bild é.png", "image/png")
    assert attachment.content == b"\0\1\2"
    assert message.defects == ()


def test_an_attached_message_is_one_attachment_and_kept_as_it_was() -> None:
    inner = b"Subject:  two  spaces\nFrom: x@example.org\n\nhello\n"
    body = f"--b\nContent-Type: message/rfc822\n\n{inner.decode()}\n--b--\n"
    message = parse(with_type("multipart/mixed; boundary=b", body))
    (attachment,) = message.attachments
    assert attachment.content == inner.replace(b":  two", b": two")
    assert message.text is None


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/mixed; boundary=----=_Part_1", "----=_Part_1"),
        ("multipart/mixed; boundary=a/b:c", "a/b:c"),
        ('multipart/mixed; boundary="a b"; charset=x', "a b"),
        (r'multipart/mixed; boundary="a\-b"', "a-b"),
        ("multipart/mixed (as it is); boundary=x", "x"),
        ('multipart/mixed; boundary="x" type="text/html"', "x"),
        ("multipart/mixed; boundary=x charset=y", "x"),
        ("multipart/mixed; boundary*0=ab; boundary*1=cd", "abcd"),
        ('Multipart/MIXED; BOUNDARY="=?utf-8?q?a?="', "=?utf-8?q?a?="),
    ],
)
def test_a_boundary_is_found_as_senders_write_it(content_type: str, boundary: str) -> None:
    body = f"--{boundary}\n\nhi\n--{boundary}\nContent-Type: image/gif\n\nx\n--{boundary}--\n"
    content = with_type(content_type, body)
    message = parse(content)
    assert message.text == "hi"
    assert [part.content_type for part in message.attachments] == ["image/gif"]
    assert read_again(content).attachments == 1


@pytest.mark.parametrize(
    ("header", "body", "text", "defect"),
    [
        ("text/plain; charset=utf-8", b"\xc3\xa9", "é", None),
        ("text/plain; charset=iso-8859-1", b"\xe9", "é", None),
        ("text/plain; charset=gb2312", "你好".encode("gb2312"), "你好", None),
        ("text/plain; charset=x-unheard-of", b"\xc3\xa9", "é", "unknown charset 'x-unheard-of'"),
        ("text/plain; charset=base64", b"abc", "abc", "unknown charset 'base64'"),
        ("text/plain; charset=utf-8", b"\xe9", "é", "bytes that are not utf-8"),
        ("text/plain", b"\xe9", "é", "8-bit text without a charset"),
        ("text/plain", b"a\0b", "a\ufffdb", "NUL or lone surrogate replaced"),
    ],
)
def test_text_is_decoded_as_declared_or_else_as_it_can_be(
    header: str, body: bytes, text: str, defect: str | None
) -> None:
    message = parse(f"Content-Type: {header}\n\n".encode() + body)
    assert message.text == text
    assert message.defects == ((defect,) if defect else ())


def test_bad_base64_is_a_defect() -> None:
    message = parse(b"Content-Type: image/png\nContent-Transfer-Encoding: base64\n\nAAA*\n")
    assert any(defect.startswith("InvalidBase64") for defect in message.defects)
    assert len(message.attachments) == 1


@pytest.mark.parametrize("levels", [DEEPEST_NESTING + 1, 10_000])
def test_nesting_is_bounded(levels: int) -> None:
    content = nested(levels)
    message = parse(content)
    assert any("nests" in defect or "unparsable" in defect for defect in message.defects)
    assert message.text is not None
    assert "the core" in message.text
    assert message.attachments == ()
    assert read_again(content).attachments == 0


def test_nesting_within_the_bound_is_read() -> None:
    message = parse(nested(DEEPEST_NESTING))
    assert message.text is not None
    assert message.text.strip() == "the core"


def test_a_multipart_without_its_boundary_is_text() -> None:
    message = parse(with_type("multipart/mixed", "all of it\n"))
    assert message.text == "all of it\n"
    assert "NoBoundaryInMultipartDefect" in message.defects
    assert message.attachments == ()


def test_a_long_list_of_recipients_is_read() -> None:
    recipients = [f"person{number}@example.org" for number in range(2000)]
    message = parse(f"To: {', '.join(recipients)}\n\nhi\n".encode())
    assert message.to == tuple(recipients)
