"""Reads from /proc which addresses a TCP port is open on."""

from pathlib import Path

LOOPBACK = "0100007F"  # 127.0.0.1 as the kernel prints it
_LISTEN = "0A"


def addresses_listening(port: int) -> set[str]:
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            address, hexadecimal = local.split(":")
            if state == _LISTEN and int(hexadecimal, 16) == port:
                found.add(address)
    return found
