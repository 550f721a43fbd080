"""Tells bounces, automatic mail and list mail from mail that a person expects an answer to.

A bounce is a delivery status notification: a multipart/report of that type (RFC 3464), also inside
another multipart, as gateways wrap it; or a message from the mail system itself: its author or
return path is MAILER-DAEMON, or its author postmaster and the return path empty.
Automatic mail says so (RFC 3834: Auto-Submitted), is any other report, or has the empty return
path. List mail has a List- field (RFC 2369, RFC 2919) or a Precedence that asks for silence.
"""

import re
from dataclasses import dataclass
from email.parser import HeaderParser
from email.policy import compat32
from enum import StrEnum

from headrace.mailroom.message import ParsedMessage
from headrace.mailroom.tolerant_policy import LONGEST_PARSED_HEADER

_DELIVERY_STATUS = "message/delivery-status"
_LIST_FIELDS = (
    "List-Id",
    "List-Help",
    "List-Unsubscribe",
    "List-Subscribe",
    "List-Post",
    "List-Owner",
    "List-Archive",
)
_SILENT_PRECEDENCES = frozenset({"bulk", "list", "junk", "auto_reply"})
_ADDRESS = re.compile(
    r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*",
    re.IGNORECASE | re.ASCII,
)
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)', re.DOTALL)
_COMMENT = re.compile(r"\([^()]*\)")
_DEEPEST_COMMENT = 20
# Role addresses that nobody reads, or that a program reads (RFC 3834, section 2).
_NOBODY = re.compile(
    r"(?:mailer-daemon|postmaster|no[-_.]?reply|do[-_.]?not[-_.]?reply|bounces?"
    r"|listserv|majordomo|mailman|owner-.*|.*-(?:request|owner|bounces?|noreply))(?:\+.*)?",
    re.IGNORECASE,
)


class Kind(StrEnum):
    """What a message is to an automatic responder; only PERSONAL mail is acknowledged."""

    BOUNCE = "bounce"
    AUTOMATIC = "automatic"
    LIST = "list"
    PERSONAL = "personal"


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """What a bounce says of one recipient (RFC 3464, 2.3); "" where it does not say."""

    recipient: str
    action: str
    status: str


def classify(message: ParsedMessage) -> Kind:
    """Tell the kind of a message; the first that fits, in the order of `Kind`."""
    if _is_bounce(message):
        return Kind.BOUNCE
    if _is_automatic(message):
        return Kind.AUTOMATIC
    return Kind.LIST if _is_list(message) else Kind.PERSONAL


def acknowledgement_recipient(message: ParsedMessage) -> str | None:
    """Give the address to acknowledge a message to, or None if it gets no acknowledgement.

    It is the return path, else the address in Reply-To, else the one in From (RFC 3834, 4). An
    address that nobody reads, or that is no plain ASCII address, gets none: none is guessed.
    """
    if classify(message) is not Kind.PERSONAL:
        return None
    names = ("Return-Path", "Reply-To", "From")
    address = next((each for name in names if (each := _address(message, name)) is not None), "")
    if len(address) > 254 or not _ADDRESS.fullmatch(address) or _NOBODY.fullmatch(_local(address)):
        return None
    return address


def delivery_statuses(message: ParsedMessage) -> tuple[DeliveryStatus, ...]:
    """Give what the delivery reports in a message say, one value for each recipient."""
    return tuple(
        status
        for attachment in message.attachments
        if attachment.content_type == _DELIVERY_STATUS
        for block in re.split(rb"(?:\r?\n){2,}", attachment.content)
        if (status := _delivery_status(block.decode("utf-8", "replace").replace("\0", "\ufffd")))
    )


def _delivery_status(block: str) -> DeliveryStatus | None:
    fields = HeaderParser(policy=compat32).parsestr(block)
    recipient = fields.get("Final-Recipient") or fields.get("Original-Recipient")
    if not recipient:
        return None
    return DeliveryStatus(
        recipient=recipient.partition(";")[2].strip() or recipient.strip(),
        action=fields.get("Action", "").strip().lower(),
        status=fields.get("Status", "").strip(),
    )


def _is_bounce(message: ParsedMessage) -> bool:
    has_status = any(part.content_type == _DELIVERY_STATUS for part in message.attachments)
    reported = "delivery-status" in message.report_types
    return reported or (has_status and "" in message.report_types) or _is_from_mail_system(message)


def _is_from_mail_system(message: ParsedMessage) -> bool:
    author = _local(_address(message, "From") or "").lower()
    return_path = _address(message, "Return-Path")
    if author == "postmaster" and return_path == "":
        return True
    return "mailer-daemon" in {author, _local(return_path or "").lower()}


def _is_automatic(message: ParsedMessage) -> bool:
    submitted = _keyword(message.header("Auto-Submitted") or "")
    return submitted != "no" or bool(message.report_types) or _address(message, "Return-Path") == ""


def _is_list(message: ParsedMessage) -> bool:
    if _keyword(message.header("Precedence") or "") in _SILENT_PRECEDENCES:
        return True
    return any(message.header(name) is not None for name in _LIST_FIELDS)


def _keyword(value: str) -> str:
    """Give the first word of a field, without comments and parameters."""
    words = _without_comments(value[:LONGEST_PARSED_HEADER]).replace(";", " ").split()
    return words[0].lower() if words else "no"


def _address(message: ParsedMessage, name: str) -> str | None:
    """Give the address in a field: in its first angle brackets, else all up to the first comma.

    Returns:
        "" for the empty address, <>; None without the field.
    """
    value = message.header(name)
    if value is None:
        return None
    plain = _without_comments(_QUOTED.sub(" ", value[:LONGEST_PARSED_HEADER]))
    in_brackets = re.search(r"<([^<>]*)>", plain)
    return (in_brackets[1] if in_brackets else plain.partition(",")[0]).strip()


def _without_comments(value: str) -> str:
    for _ in range(_DEEPEST_COMMENT):
        value, removed = _COMMENT.subn(" ", value)
        if not removed:
            break
    return value


def _local(address: str) -> str:
    return address.rpartition("@")[0] or address
