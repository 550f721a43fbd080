"""Addresses of mail, read once and strictly: what cannot be one is refused at the door."""

from email.errors import HeaderParseError
from email.headerregistry import Address
from email.policy import SMTP

from headrace import UsageError


def read_address(name: str, text: object) -> Address:
    """One address, "a@example.com" or "Shop <a@example.com>".

    Raises:
        UsageError: it is none, or more than one, or has a line break in it.
    """
    if isinstance(text, str) and text.isprintable() and len(text) <= 500:
        try:
            header = SMTP.header_factory("To", text)
        except (HeaderParseError, IndexError, ValueError):  # its parser stumbles in many ways
            header = None
        groups = () if header is None or header.defects else header.groups
        found: list[Address] = [
            one for group in groups for one in group.addresses if not group.display_name
        ]
        if len(groups) == len(found) == 1 and _is_whole(found[0]):
            return found[0]
    raise UsageError(
        f'{name}={text!a:.200} is not one address of mail; write "a@example.com" or '
        '"Name <a@example.com>", ASCII but for the name'
    )


def _is_whole(address: Address) -> bool:
    return bool(address.username and address.domain) and address.addr_spec.isascii()
