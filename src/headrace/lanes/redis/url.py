"""The URL of the lane's server, and connections to where it leads."""

from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import ConnectionPool

from headrace.model.server_url import Form, read_server_url

_FORM = Form("the lane's URL", ("redis", "rediss", "unix"), "redis://user:password@host:6379/0")


def pool_of(url: str, **options: Any) -> ConnectionPool:  # noqa: ANN401 - what the driver takes
    """A pool whose connections can be made; none is opened.

    Raises:
        ConfigError: the URL is none of a lane.
    """
    parts = read_server_url(url, _FORM)
    database = parts.path.strip("/")
    if parts.scheme == "unix" and not parts.path:
        raise _FORM.refusal("names no path of a socket")
    if parts.scheme != "unix" and database and not database.isdecimal():
        raise _FORM.refusal(f"names the database {database!r}, which is no number")
    try:
        pool = ConnectionPool.from_url(url, **options)
        pool.make_connection()  # type: ignore[no-untyped-call]  # redis leaves it so
    except (TypeError, ValueError) as exc:
        raise _FORM.refusal(f"has an option that its driver refuses: {exc}") from None
    return pool


def place(url: str) -> str:
    """Where a URL leads, without user and password."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return parts.path
    return f"{parts.hostname or 'localhost'}:{parts.port or 6379}"
