"""The files of TLS that the URL of a server names, and what is wrong with one."""

import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path


def unusable_file(
    options: Mapping[str, str], *, authorities: str, others: Sequence[str]
) -> str | None:
    """What is wrong with the first file that cannot be used, in words; None where all are good.

    Args:
        options: of the URL, by name.
        authorities: the option whose file holds the certificates that are trusted.
        others: options whose files only have to be there.
    """
    for option in (authorities, *others):
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
    return None
