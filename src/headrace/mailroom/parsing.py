"""Parses the bytes of a message; whatever they are, the result is a message with its defects."""

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from email.message import EmailMessage, MIMEPart
from email.parser import BytesParser
from hashlib import sha256

from headrace.mailroom.clean_text import clean, decode
from headrace.mailroom.message import Attachment, ParsedMessage
from headrace.mailroom.tolerant_policy import TolerantPolicy, VerbatimPolicy, unfold

DEEPEST_NESTING = 100
_POLICY = TolerantPolicy()
_PARSER: "BytesParser[EmailMessage]" = BytesParser(
    EmailMessage,
    policy=_POLICY,  # type: ignore[arg-type] # its message class is known to stubs only
)
_AS_WRITTEN = VerbatimPolicy()
_BODY_TYPES = frozenset({"text/plain", "text/html"})
_BETWEEN_WORDS = re.compile(r'[\s<>,;:"()]+')
_MESSAGE_ID = re.compile(r"<[^<>\s]+>")
_ATOM = r"[!#$%&'*+.0-9A-Z^_`a-z{|}~-]+"
_TYPE = re.compile(rf"\s*({_ATOM}/{_ATOM})(?=[;\s]|\(.*\)|$)")
_DEFECTIVE_HEADERS = ("From", "To", "Subject", "Date", "Message-ID")


def parse(content: bytes) -> ParsedMessage:
    """Parse one message as it arrived. Never raises."""
    try:
        message = _PARSER.parsebytes(content)
    except Exception as error:  # noqa: BLE001 (a message that breaks the parser is kept as well)
        return _Reading(_headers_only(content)).undivided(f"unparsable: {type(error).__name__}")
    if _nests_deeper_than(DEEPEST_NESTING, message):
        return _Reading(_headers_only(content)).undivided(f"nests over {DEEPEST_NESTING} levels")
    return _Reading(message).divided()


def _headers_only(content: bytes) -> EmailMessage:
    try:
        return _PARSER.parsebytes(content, headersonly=True)
    except Exception:  # noqa: BLE001 (see parse)
        message = EmailMessage(policy=_POLICY)
        message.set_payload(content.decode("ascii", "surrogateescape"))
        return message


def _nests_deeper_than(limit: int, message: MIMEPart) -> bool:
    level = [message]
    for _ in range(limit + 1):
        level = [child for part in level for child in _children(part)]
    return bool(level)


def _children(part: MIMEPart) -> list[MIMEPart]:
    return list(part.iter_parts()) if part.is_multipart() else []


def _leaves(part: MIMEPart) -> Iterator[MIMEPart]:
    """Walk the parts that hold content; an attached message is one of them, not its parts."""
    if not _children(part) or part.get_content_maintype() == "message":
        yield part
        return
    for child in _children(part):
        yield from _leaves(child)


def _containers(part: MIMEPart) -> Iterator[MIMEPart]:
    if part.get_content_maintype() == "multipart":
        yield part
        for child in _children(part):
            yield from _containers(child)


def _content_type(part: MIMEPart) -> str:
    """Give the type and subtype; one that is malformed means text/plain (RFC 2045, 5.2)."""
    names = (value for name, value in part.raw_items() if name.lower() == "content-type")
    declared = next(names, None)
    if declared is None:
        return part.get_default_type()
    found = _TYPE.match(unfold(str(declared)))
    return found[1].lower() if found else "text/plain"


def _attached_content(part: MIMEPart) -> bytes:
    """Give the decoded bytes of a part, or for message/* the message that it holds."""
    if children := _children(part):
        return b"".join(child.as_bytes(policy=_AS_WRITTEN) for child in children)
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


class _Reading:
    """Collects what one message holds, and what is wrong with it on the way."""

    def __init__(self, message: EmailMessage) -> None:
        self._message = message
        self._defects: dict[str, None] = {}
        self._charsets: dict[str, None] = {}
        self._bodies: dict[str, list[str]] = {"text/plain": [], "text/html": []}
        self._attachments: list[Attachment] = []

    def divided(self) -> ParsedMessage:
        for leaf in _leaves(self._message):
            self._read_leaf(leaf)
        for part in self._message.walk():
            self._defects.update((type(defect).__name__, None) for defect in part.defects)
        return self._result(tuple(self._report_types()))

    def undivided(self, reason: str) -> ParsedMessage:
        """Keep the body in one piece, as text."""
        self._defects[reason] = None
        self._bodies["text/plain"].append(self._body_text(self._message, None))
        return self._result(())

    def _read_leaf(self, part: MIMEPart) -> None:
        content_type = _content_type(part)
        if not _children(part) and content_type.startswith("multipart/"):
            content_type = "text/plain"  # without its boundary it is text (RFC 2046, 5.1.1)
        filename = self._filename(part)
        named = filename is not None or part.get_content_disposition() == "attachment"
        if content_type in _BODY_TYPES and not named:
            self._bodies[content_type].append(self._body_text(part, self._charset(part)))
        else:
            self._attach(part, filename, content_type)

    def _attach(self, part: MIMEPart, filename: str | None, content_type: str) -> None:
        try:
            content = _attached_content(part)
        except Exception as error:  # noqa: BLE001 (a part that cannot be written back is kept empty)
            self._defects[f"unreadable part: {type(error).__name__}"] = None
            content = b""
        if content_type.startswith("text/"):
            self._charset(part)
        digest = sha256(content).hexdigest()
        self._attachments.append(Attachment(filename, content_type, content, digest))

    def _body_text(self, part: MIMEPart, charset: str | None) -> str:
        content = part.get_payload(decode=True)
        text, defect = decode(content if isinstance(content, bytes) else b"", charset)
        if defect:
            self._defects[self._clean(defect)] = None
        return self._clean(text)

    def _filename(self, part: MIMEPart) -> str | None:
        with suppress(ValueError):  # a charset named in the parameter with a NUL in it
            if filename := part.get_filename():
                return self._clean(str(_POLICY.header_fetch_parse("Subject", filename))) or "?"
        return None

    def _charset(self, part: MIMEPart) -> str | None:
        with suppress(ValueError):
            if charset := self._clean(part.get_content_charset() or ""):
                self._charsets[charset] = None
                return charset
        return None

    def _report_types(self) -> Iterator[str]:
        for part in _containers(self._message):
            if _content_type(part) == "multipart/report":
                declared = part.get_param("report-type", "")
                value = declared[2] if isinstance(declared, tuple) else declared
                yield self._clean(value.strip().lower())

    def _result(self, report_types: tuple[str, ...]) -> ParsedMessage:
        self._read_header_defects()
        subject = self._clean(unfold(str(self._message.get("Subject", ""))))
        headers = tuple(
            (self._clean(name), self._clean(_utf8(unfold(str(value)))))
            for name, value in self._message.raw_items()
        )
        message_ids = {
            name: tuple(_MESSAGE_ID.findall(value))
            for name, value in reversed([(name.lower(), value) for name, value in headers])
        }
        return ParsedMessage(
            headers=headers,
            message_id=next(iter(message_ids.get("message-id", ())), None),
            subject=subject,
            from_=self._addresses("From"),
            to=self._addresses("To"),
            date=self._date(),
            in_reply_to=next(iter(message_ids.get("in-reply-to", ())), None),
            references=message_ids.get("references", ()),
            text=self._body("text/plain"),
            html=self._body("text/html"),
            attachments=tuple(self._attachments),
            report_types=report_types,
            charsets=tuple(self._charsets),
            defects=tuple(self._defects),
        )

    def _body(self, content_type: str) -> str | None:
        texts = self._bodies[content_type]
        return "\n".join(texts) if texts else None

    def _addresses(self, name: str) -> tuple[str, ...]:
        header = self._message.get(name)
        if header is None:
            return ()
        if hasattr(header, "addresses"):
            found = [address.addr_spec for address in header.addresses]
        else:
            found = [word for word in _BETWEEN_WORDS.split(str(header)) if "@" in word]
        return tuple(self._clean(address) for address in found if address not in {"", "<>"})

    def _date(self) -> datetime | None:
        date = getattr(self._message.get("Date"), "datetime", None)
        if not isinstance(date, datetime):
            return None
        if date.tzinfo is None:  # "-0000": in UTC, of an unknown time zone (RFC 5322, 3.3)
            return date.replace(tzinfo=UTC)
        with suppress(OverflowError):
            return date.astimezone(UTC)
        self._defects["date out of range"] = None
        return None

    def _read_header_defects(self) -> None:
        for name in _DEFECTIVE_HEADERS:
            header = self._message.get(name)
            if header is not None and not hasattr(header, "defects"):
                self._defects[f"unparsable {name}"] = None
            for defect in getattr(header, "defects", ()):
                self._defects[f"{name}: {type(defect).__name__}"] = None

    def _clean(self, text: str) -> str:
        cleaned, changed = clean(text)
        if changed:
            self._defects["NUL or lone surrogate replaced"] = None
        return cleaned


def _utf8(header: str) -> str:
    """Read the 8-bit bytes of a header as UTF-8 (RFC 6532), the rest of them as U+FFFD."""
    return header.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
