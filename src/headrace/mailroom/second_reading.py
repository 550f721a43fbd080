"""Reads one message for the recount: only what must be counted, from the raw text of its fields.

Rules are those of RFC 2045 and 2046 (structure), 3464 (bounces), 3834, 2919 and 2369 (answers),
written down apart from parsing and classify, over the standard library's older mail policy.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from email.policy import Compat32
from urllib.parse import unquote

DEEPEST_NESTING = 100
LONGEST_FIELD = 8_192
_WORD = r"[^\x00-\x20\x7f-\U0010ffff()<>@,;:\\\"/\[\]?=]+"
_TYPE = re.compile(rf"({_WORD}/{_WORD})(?![^;\s])")
_PARAMETER = re.compile(rf';\s*({_WORD})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]+))', re.DOTALL)
_QUOTED_OR_ONE = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|.', re.DOTALL)
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_PLAIN_ADDRESS = re.compile(rf"({_ATOM}(?:\.{_ATOM})*)@{_LABEL}(?:\.{_LABEL})*")
_ROLE_NAMES = frozenset(
    {"mailer-daemon", "postmaster", "listserv", "majordomo", "mailman", "bounce", "bounces"}
)
_NO_REPLY_NAMES = frozenset({"noreply", "donotreply"})
_ROLE_ENDINGS = ("-request", "-owner", "-bounce", "-bounces", "-noreply")


@dataclass(frozen=True, slots=True)
class SecondReading:
    """What counts of one message."""

    attachments: int
    is_bounce: bool
    expects_answer: bool
    can_be_answered: bool


class _RfcPolicy(Compat32):
    """Shows the parser each Content-Type in its simplest form, so that it splits by RFC 2045."""

    def header_fetch_parse(self, name: str, value: str) -> str:
        if name.lower() != "content-type":
            return value
        kind, parameters = _media_type(value[:LONGEST_FIELD])
        boundary = parameters.get("boundary", "").replace("\\", "\\\\").replace('"', '\\"')
        return f'{kind}; boundary="{boundary}"' if boundary else kind


def read_again(content: bytes) -> SecondReading:
    """Read one message. Never raises."""
    parser = BytesParser(policy=_RfcPolicy())
    try:
        message = parser.parsebytes(content)
    except Exception:  # noqa: BLE001 (what breaks the parser is undivided, as the rules say)
        return _read(parser.parsebytes(content, headersonly=True), divided=False)
    return _read(message, divided=_depth(message) <= DEEPEST_NESTING)


def _read(message: Message, *, divided: bool) -> SecondReading:
    fields = _fields(message)
    parts = list(_outer_parts(message)) if divided else []
    sender = (_address(fields.get("from")) or "").lower()
    return_path = _address(fields.get("return-path"))
    is_bounce = _is_report(parts) or _is_mail_system(sender, return_path)
    has_report = any(_type(part) == "multipart/report" for part in parts)
    return SecondReading(
        attachments=sum(map(_is_attachment, parts)),
        is_bounce=is_bounce,
        expects_answer=not (is_bounce or has_report or _asks_for_silence(fields, return_path)),
        can_be_answered=_is_answerable(_destination(fields, return_path)),
    )


def _inner(part: Message) -> list[Message]:
    payload = part.get_payload()
    return [inner for inner in payload if isinstance(inner, Message)] if part.is_multipart() else []


def _depth(message: Message) -> int:
    depth, level = 0, [message]
    while level := [inner for part in level for inner in _inner(part)]:
        depth += 1
    return depth


def _outer_parts(part: Message) -> Iterator[Message]:
    """Walk all parts, containers included, but not into attached messages."""
    yield part
    if part.get_content_maintype() != "message":
        for inner in _inner(part):
            yield from _outer_parts(inner)


def _fields(part: Message) -> dict[str, str]:
    """Give the raw text of each field, unfolded; the first one where a name is repeated."""
    fields: dict[str, str] = {}
    for name, value in part.raw_items():
        fields.setdefault(name.lower(), re.sub(r"[\r\n]", "", str(value)[:LONGEST_FIELD]))
    return fields


def _type(part: Message) -> str:
    declared = _fields(part).get("content-type")
    return part.get_default_type() if declared is None else _media_type(declared)[0]


def _media_type(field: str) -> tuple[str, dict[str, str]]:
    """Read a Content-Type; one that is malformed is text/plain (RFC 2045, 5.2).

    Only a malformed subtype of multipart still means mixed, so that what it holds is not lost.
    """
    plain = _without_comments(re.sub(r"[\r\n]", "", field)).strip()
    found = _TYPE.match(plain)
    if found:
        return found[1].lower(), _parameters(plain)
    kind = plain.partition(";")[0].lower()
    is_multipart = kind.startswith("multipart/") and kind.count("/") == 1
    return "multipart/mixed" if is_multipart else "text/plain", _parameters(plain)


def _parameters(field: str) -> dict[str, str]:
    """Read the parameters of a field, with the pieces and percents of RFC 2231."""
    parameters: dict[str, str] = {}
    for name, quoted, bare in _PARAMETER.findall(field):
        itself, _, piece = name.lower().partition("*")
        value = re.sub(r"\\(.)", r"\1", quoted) or bare
        if name.endswith("*"):
            value = unquote(value.rpartition("'")[2])
        if piece and piece.rstrip("*") != "0":
            value = parameters.pop(itself, "") + value
        parameters.setdefault(itself, value)
    return parameters


def _is_attachment(part: Message) -> bool:
    if part.is_multipart():
        return part.get_content_maintype() == "message"
    fields = _fields(part)
    if _type(part) not in {"text/plain", "text/html"} and not _type(part).startswith("multipart/"):
        return True
    disposition = _without_comments(fields.get("content-disposition", ""))
    return (
        disposition.partition(";")[0].strip().lower() == "attachment"
        or bool(_parameters(";" + disposition).get("filename"))
        or bool(_media_type(fields.get("content-type", ""))[1].get("name"))
    )


def _is_report(parts: list[Message]) -> bool:
    reports = [part for part in parts if _type(part) == "multipart/report"]
    kinds = {
        _media_type(_fields(part).get("content-type", ""))[1].get("report-type", "").lower()
        for part in reports
    }
    has_status = any(_type(part) == "message/delivery-status" for part in parts)
    return "delivery-status" in kinds or (has_status and "" in kinds)


def _is_mail_system(sender: str, return_path: str | None) -> bool:
    names = [address.rpartition("@")[0] or address for address in (sender, return_path or "")]
    return "mailer-daemon" in map(str.lower, names) or (
        names[0] == "postmaster" and return_path == ""
    )


def _asks_for_silence(fields: dict[str, str], return_path: str | None) -> bool:
    submitted = _word(fields.get("auto-submitted", ""))
    lists = ("id", "help", "unsubscribe", "subscribe", "post", "owner", "archive")
    return (
        return_path == ""
        or submitted not in {"", "no"}
        or _word(fields.get("precedence", "")) in {"bulk", "list", "junk", "auto_reply"}
        or any(f"list-{name}" in fields for name in lists)
    )


def _word(field: str) -> str:
    words = _without_comments(field).replace(";", " ").split()
    return words[0].lower() if words else ""


def _destination(fields: dict[str, str], return_path: str | None) -> str:
    if return_path is not None:
        return return_path
    reply_to = _address(fields.get("reply-to"))
    return (_address(fields.get("from")) or "") if reply_to is None else reply_to


def _is_answerable(address: str) -> bool:
    plain = _PLAIN_ADDRESS.fullmatch(address) if len(address) <= 254 else None
    if not plain:
        return False
    name = plain[1].lower().partition("+")[0]
    return not (
        name in _ROLE_NAMES
        or re.sub(r"[-_.]", "", name) in _NO_REPLY_NAMES
        or name.startswith("owner-")
        or name.endswith(_ROLE_ENDINGS)
    )


def _without_comments(field: str) -> str:
    """Remove comments, which nest, outside quoted strings; a lone bracket stays."""
    kept: list[str] = []
    opened: list[int] = []
    for piece in _QUOTED_OR_ONE.findall(field):
        if piece == ")" and opened:
            del kept[opened.pop() :]
            kept.append(" ")
            continue
        if piece == "(":
            opened.append(len(kept))
        kept.append(piece)
    return "".join(kept)


def _address(field: str | None) -> str | None:
    """Give the address in the first angle brackets, else all before a comma; quotes hide both."""
    if field is None:
        return None
    unquoted = "".join(" " if piece[0] == '"' else piece for piece in _QUOTED_OR_ONE.findall(field))
    plain = _without_comments(unquoted)
    for piece in plain.split(">")[:-1]:
        _, bracket, address = piece.rpartition("<")
        if bracket:
            return address.strip()
    return plain.split(",")[0].strip()
