"""The files of TLS that the URL of a server names, and what is wrong with one."""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple


class Names(NamedTuple):
    """What the options of a URL are called.

    Attributes:
        authorities: the file of the certificates that are trusted.
        certificate: the client's own.
        key: that of the client's certificate.
        password: of the key.
        revoked: the file of certificates that are not trusted any more, where there is one.
    """

    authorities: str
    certificate: str
    key: str
    password: str
    revoked: str = ""


def unusable_file(options: Mapping[str, str], names: Names) -> str | None:
    """What is wrong with the first file that cannot be used, in words; None where all are good.

    Args:
        options: of the URL, by name.
        names: which of them are files.
    """
    authorities = names.authorities
    for option in (authorities, names.certificate, names.key, names.revoked):
        if path := options.get(option):
            try:
                with Path(path).open("rb") as file:
                    file.read(1)
            except OSError as exc:
                return (
                    f"{option} in its URL names {path}, which cannot be read ({exc.strerror}); "
                    "correct the path, or let this user read the file"
                )
    if path := options.get(authorities):
        try:
            ssl.create_default_context(cafile=path)
        except ssl.SSLError:
            return (
                f"{authorities} in its URL names {path}, which holds no certificate; "
                "give the authority's, in PEM"
            )
    certificate, key = options.get(names.certificate), options.get(names.key)
    if certificate and key:
        try:
            # Without a password of its own it would ask for one on the terminal.
            password = options.get(names.password, "")
            ssl.create_default_context().load_cert_chain(certificate, key, password)
        except ssl.SSLError:
            return (
                f"{names.certificate} and {names.key} in its URL name {certificate} and {key}, "
                "which are no certificate and its key; give both in PEM, and what opens the key "
                f"as {names.password}"
            )
    return None
