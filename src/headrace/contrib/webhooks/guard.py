"""Which addresses a webhook may be sent to: those of the public internet, and those allowed.

The networks are named here, not asked of `ipaddress`: its lists differ between Pythons, and they
take an address for public that the host of a virtual machine answers at.
"""

import asyncio
import socket
from collections.abc import Iterable, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from headrace import HeadraceError, UsageError

Network = IPv4Network | IPv6Network

_NOT_PUBLIC = [
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by the customers of a provider; metadata of Alibaba
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # the host of a machine at Azure
        "169.254.0.0/16",  # link-local; metadata of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocols; metadata of Oracle
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
]
# All else is mapped from IPv4, loopback, link-local, private, a translation or unassigned.
_PUBLIC_6 = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = [
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocols, among them Teredo, which holds an IPv4 address
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which holds one, too
        "3fff::/20",  # documentation
    )
]


class Refused(HeadraceError):
    """The address is none to send to."""


class Unresolved(HeadraceError):
    """The name has no address now."""


def read_networks(allow: Iterable[str]) -> tuple[Network, ...]:
    """Networks that are allowed besides the public ones.

    Raises:
        UsageError: one is none.
    """
    if isinstance(allow, str):
        raise UsageError(f'allow={allow!r} must be a tuple of networks; write ("{allow}",)')
    try:
        return tuple(ip_network(network) for network in allow)
    except ValueError as exc:
        raise UsageError(f'allow names no network: {exc}; write "10.1.2.0/24"') from None


async def resolve(host: str, port: int, allowed: Sequence[Network], *, plain: bool) -> list[str]:
    """The addresses of a host, asked for once: each of them may be sent to.

    Args:
        host: a name or an address, in any form that the system takes for one.
        port: of it.
        allowed: besides the public ones.
        plain: without TLS, only these.

    Raises:
        Refused: one of them may not.
        Unresolved: it has none.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        raise Unresolved(f"its name has no address ({type(exc).__name__})") from None
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    for address in addresses:
        _check(address, allowed, plain=plain)
    return addresses


def _check(text: str, allowed: Sequence[Network], *, plain: bool) -> None:
    address = ip_address(text)
    if isinstance(address, IPv6Address) and (address.scope_id or address.ipv4_mapped):
        raise Refused("its address has a zone, or is an IPv4 address written as IPv6")
    if any(address in network for network in allowed):
        return
    if not _is_public(address):
        raise Refused(
            "one of its addresses is not public; register(allow=...) names those that may be "
            "sent to all the same"
        )
    if plain:
        raise Refused("its URL is not https, which only addresses in register(allow=...) may be")


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC)
    return address in _PUBLIC_6 and not any(address in network for network in _NOT_PUBLIC_6)
