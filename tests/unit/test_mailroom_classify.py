import pytest

from headrace.mailroom.classify import (
    DeliveryStatus,
    Kind,
    acknowledgement_recipient,
    classify,
    delivery_statuses,
)
from headrace.mailroom.parsing import parse
from headrace.mailroom.second_reading import read_again

REPORT = """From: postmaster@example.org
Content-Type: multipart/report{report_type}; boundary=b

--b

It could not be delivered.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.example.org

Final-Recipient: rfc822; one@example.net
Action: Failed
Status: 5.1.1

Original-Recipient: rfc822;two@example.net
Action: delayed
Status: 4.4.7
--b--
"""


def kind_of(headers: str) -> Kind:
    content = f"{headers}\n\nhello\n".encode()
    kind = classify(parse(content))
    again = read_again(content)
    assert again.is_bounce is (kind is Kind.BOUNCE)
    assert again.expects_answer is (kind is Kind.PERSONAL)
    return kind


@pytest.mark.parametrize("report_type", ["; report-type=delivery-status", ""])
def test_a_delivery_report_is_a_bounce_with_its_recipients(report_type: str) -> None:
    message = parse(REPORT.format(report_type=report_type).encode())
    assert classify(message) is Kind.BOUNCE
    assert acknowledgement_recipient(message) is None
    assert delivery_statuses(message) == (
        DeliveryStatus("one@example.net", "failed", "5.1.1"),
        DeliveryStatus("two@example.net", "delayed", "4.4.7"),
    )


def test_a_person_who_forwards_a_bounce_gets_an_answer() -> None:
    bounce = REPORT.format(report_type="; report-type=delivery-status")
    content = (
        "From: ann@example.org\nContent-Type: multipart/mixed; boundary=outer\n\n"
        f"--outer\n\nWhat is this?\n--outer\nContent-Type: message/rfc822\n\n{bounce}\n--outer--\n"
    ).encode()
    message = parse(content)
    assert classify(message) is Kind.PERSONAL
    assert acknowledgement_recipient(message) == "ann@example.org"
    assert not read_again(content).is_bounce


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ("From: a@example.org", Kind.PERSONAL),
        ("From: a@example.org\nSubject: Undelivered Mail Returned to Sender", Kind.PERSONAL),
        ("From: a@example.org\nAuto-Submitted: no", Kind.PERSONAL),
        ("From: a@example.org\nAuto-Submitted: No (by hand)", Kind.PERSONAL),
        ("From: a@example.org\nPrecedence: first-class", Kind.PERSONAL),
        ("From: postmaster@example.org", Kind.PERSONAL),
        ("From: MAILER-DAEMON@example.org (Mail System)", Kind.BOUNCE),
        ("From: Mail System <Mailer-Daemon@example.org>", Kind.BOUNCE),
        ("From: Postmaster@example.org\nReturn-Path: <>", Kind.BOUNCE),
        ("From: a@example.org\nReturn-Path: <>", Kind.AUTOMATIC),
        ("From: a@example.org\nAuto-Submitted: auto-replied", Kind.AUTOMATIC),
        ('From: a@example.org\nAuto-Submitted: auto-generated; x="no"', Kind.AUTOMATIC),
        ("From: a@example.org\nContent-Type: multipart/report; report-type=x", Kind.AUTOMATIC),
        ("From: a@example.org\nPrecedence: BULK", Kind.LIST),
        ("From: a@example.org\nPrecedence: list", Kind.LIST),
        ("From: a@example.org\nPrecedence: junk", Kind.LIST),
        ("From: a@example.org\nList-Id: A list <a.example.org>", Kind.LIST),
        ("From: a@example.org\nList-Unsubscribe: <mailto:b@example.org>", Kind.LIST),
    ],
)
def test_kinds(headers: str, kind: Kind) -> None:
    assert kind_of(headers) is kind


@pytest.mark.parametrize(
    ("headers", "recipient"),
    [
        ("From: A B <a@example.org>", "a@example.org"),
        ("From: a@example.org (A B)", "a@example.org"),
        ('From: "B, <x@example.net>" <a@example.org>', "a@example.org"),
        ("From: a@example.org, b@example.org", "a@example.org"),
        ("From: A [x] @ home <a@example.org>", "a@example.org"),
        ("From: a@example.org\nReply-To: b@example.org", "b@example.org"),
        ("From: a@example.org\nReply-To: b@x.org\nReturn-Path: <c@example.org>", "c@example.org"),
        ("From: a@example.org\nReply-To: ", None),
        ("From: prvs=1=a+b@example.org", "prvs=1=a+b@example.org"),
        ("To: a@example.org", None),
        ("From: a", None),
        ("From: <>", None),
        ("From: a@example..org", None),
        ("From: .a@example.org", None),
        ("From: a@[127.0.0.1]", None),
        ("From: ä@example.org", None),
        ("From: a@example.org\tb@example.org", None),
        ("From: <a@exa\x00mple.org>", None),
        ("From: " + "a" * 250 + "@example.org", None),
        ("From: no-reply@example.org", None),
        ("From: NoReply@example.org", None),
        ("From: do_not_reply+7@example.org", None),
        ("From: postmaster@example.org", None),
        ("From: owner-list@example.org", None),
        ("From: list-request@example.org", None),
        ("From: a@example.org\nReturn-Path: <list-bounces@example.org>", None),
    ],
)
def test_whom_to_acknowledge(headers: str, recipient: str | None) -> None:
    content = f"{headers}\n\nhello\n".encode()
    assert acknowledgement_recipient(parse(content)) == recipient
    assert read_again(content).can_be_answered is (recipient is not None)
