from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from uuid import UUID

from hypothesis import example, given, settings
from hypothesis import strategies as st

from headrace.mailroom.acknowledgement import MAILROOM_ADDRESS, acknowledge, acknowledgement_id
from headrace.mailroom.classify import Kind, classify
from headrace.mailroom.parsing import parse

JOB = UUID("01930000-0000-7000-8000-000000000001")
NOW = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
FIELDS = {
    "from",
    "to",
    "subject",
    "date",
    "message-id",
    "auto-submitted",
    "in-reply-to",
    "references",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
}


def acknowledgement_of(content: bytes) -> bytes:
    return acknowledge(parse(content), recipient="a@example.org", job_id=JOB, now=NOW).as_bytes()


def test_it_answers_the_message_and_says_that_it_is_automatic() -> None:
    sent = acknowledgement_of(
        b"Subject: =?utf-8?b?UmU6IEdyw7zDn2U=?=\nMessage-ID: <2@x>\nReferences: <0@x> <1@x>\n\nhi\n"
    )
    reply = message_from_bytes(sent, policy=default)
    assert reply["From"] == f"Mailroom <{MAILROOM_ADDRESS}>"
    assert reply["To"] == "a@example.org"
    assert reply["Subject"] == "Re: Grüße"
    assert reply["In-Reply-To"] == "<2@x>"
    assert reply["References"] == "<0@x> <1@x> <2@x>"
    assert reply["Auto-Submitted"] == "auto-replied"
    assert reply["Message-ID"] == acknowledgement_id(JOB)
    assert reply["Date"].datetime == NOW
    assert classify(parse(sent)) is Kind.AUTOMATIC


def test_the_same_job_sends_the_same_message() -> None:
    assert acknowledgement_of(b"Subject: x\n\n") == acknowledgement_of(b"Subject: x\n\n")


def test_a_long_thread_keeps_its_beginning_and_its_end() -> None:
    thread = " ".join(f"<{number}@x>" for number in range(500))
    sent = acknowledgement_of(f"Message-ID: <m@x>\nReferences: {thread}\n\n".encode())
    references = message_from_bytes(sent, policy=default)["References"].split()
    assert len(references) == 20
    assert references[0] == "<0@x>"
    assert references[-2:] == ["<499@x>", "<m@x>"]


@settings(deadline=None, max_examples=300)
@given(
    st.text(max_size=300),
    st.lists(st.text(max_size=30), max_size=5),
    st.text(max_size=30),
)
@example("x\r\nBcc: evil@example.org", ["a@x>\r\nBcc: <evil@example.org"], "")
@example("x\nBcc: evil@example.org\n\nbody", [], "a>\nBcc: b")
@example("=?utf-8?q?x=0D=0ABcc:_evil=40example.org?=", [], "")
@example("a\u2028Bcc: b\x85\x0b\x0c\x1c", [], "é@x")
@example("é" * 300, ["x" * 3000 + "@x"], "")
def test_nothing_in_a_message_adds_a_field_to_its_acknowledgement(
    subject: str, references: list[str], message_id: str
) -> None:
    thread = " ".join(f"<{each}>" for each in references)
    headers = f"Subject: {subject}\nReferences: {thread}\nMessage-ID: <{message_id}>\n\n"
    sent = acknowledgement_of(headers.encode("utf-8", "surrogatepass"))
    reply = message_from_bytes(sent, policy=default)
    assert len(reply.keys()) == len({name.lower() for name in reply.keys()})  # noqa: SIM118
    assert {name.lower() for name in reply.keys()} <= FIELDS  # noqa: SIM118
    assert reply["Message-ID"] == acknowledgement_id(JOB)
    assert max(map(len, sent.split(b"\r\n"))) <= 998
    assert not reply.defects
