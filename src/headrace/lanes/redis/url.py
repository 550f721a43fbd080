"""The URL of the lane's servers, and connections to where it leads."""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from redis.asyncio import ConnectionPool

from headrace.model.server_url import Form, read_server_url
from headrace.tls_files import Names, unusable_file

_EXAMPLE = "redis://user:password@host:6379/0"
_PLAIN = ("redis", "rediss", "unix")
_SENTINEL = ("redis+sentinel", "rediss+sentinel")
_CLUSTER = ("redis+cluster", "rediss+cluster")
_FORM = Form("the lane's URL", _PLAIN, _EXAMPLE)
_ANY = Form("the lane's URL", (*_PLAIN, *_SENTINEL, *_CLUSTER), _EXAMPLE)
_OF_SENTINELS = Form(
    "the lane's URL", _SENTINEL, "redis+sentinel://user:password@host:26379,host:26379/service/0"
)
_OF_CLUSTER = Form("the lane's URL", _CLUSTER, "redis+cluster://user:password@host:6379,host:6379")
_SENTINEL_PORT = 26379
_TLS = Names("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_password")


class Kind(Enum):
    """What stands at the addresses of a URL."""

    SERVER = "server"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class Places:
    """What a URL of the lane names.

    Attributes:
        urls: of the server, of each Sentinel, or of each node of a cluster that is named.
        service: as the Sentinels know it; else empty.
        server: the URL of a server of the lane, but for its address.
        name: where it leads, without user and password.
    """

    kind: Kind
    urls: tuple[str, ...]
    service: str
    server: str
    name: str

    def at(self, host: str, port: int) -> str:
        """The URL of the server of the lane at this address."""
        parts = urlsplit(self.server)
        user, at, _ = parts.netloc.rpartition("@")
        place = f"[{host}]" if ":" in host else host
        return parts._replace(netloc=f"{user}{at}{place}:{port}").geturl()


def read_places(url: str) -> Places:
    """What a URL names.

    Raises:
        ConfigError: it is none of a lane.
    """
    scheme, _, rest = url.partition("://")
    if scheme not in _SENTINEL + _CLUSTER:
        parts = read_server_url(url, _ANY)
        name = parts.path if parts.scheme == "unix" else _address(parts, 6379)
        return Places(Kind.SERVER, (url,), "", url, name)
    form = _OF_SENTINELS if scheme in _SENTINEL else _OF_CLUSTER
    netloc = re.split("[/?#]", rest, maxsplit=1)[0]
    user, at, hosts = netloc.rpartition("@")
    behind = rest.removeprefix(netloc)
    each = [
        read_server_url(f"{scheme}://{user}{at}{host}{behind}", form) for host in hosts.split(",")
    ]
    if not all(parts.hostname for parts in each):
        raise form.refusal("names no host, or an empty one in its list")
    return _of_sentinels(each) if scheme in _SENTINEL else _of_cluster(each)


def _of_sentinels(each: list[SplitResult]) -> Places:
    first = each[0]
    service, _, database = first.path.strip("/").partition("/")
    if not service:
        raise _OF_SENTINELS.refusal("names no service")
    options = dict(parse_qsl(first.query, keep_blank_values=True))
    user, password = options.pop("sentinel_username", ""), options.pop("sentinel_password", "")
    server = _plain(first)._replace(path=f"/{database}", query=urlencode(options))
    own = {"username": user, "password": password}
    asked = {**options, **{name: value for name, value in own.items() if value}}
    asked.pop("db", None)
    sentinels = [
        _plain(one)._replace(netloc=_address(one, _SENTINEL_PORT), path="", query=urlencode(asked))
        for one in each
    ]
    addresses = ",".join(_address(one, _SENTINEL_PORT) for one in each)
    return Places(
        Kind.SENTINEL,
        tuple(one.geturl() for one in sentinels),
        service,
        server.geturl(),
        f"{service} of the Sentinels at {addresses}",
    )


def _of_cluster(each: list[SplitResult]) -> Places:
    if each[0].path.strip("/") not in {"", "0"}:
        raise _OF_CLUSTER.refusal("names a database, and a cluster has none but 0")
    nodes = tuple(_plain(one).geturl() for one in each)
    addresses = ",".join(_address(one, 6379) for one in each)
    return Places(Kind.CLUSTER, nodes, "", nodes[0], f"the cluster at {addresses}")


def _plain(parts: SplitResult) -> SplitResult:
    return parts._replace(scheme=parts.scheme.partition("+")[0], path="/", fragment="")


def _address(parts: SplitResult, port: int) -> str:
    host = parts.hostname or "localhost"
    bracketed = f"[{host}]" if ":" in host and parts.scheme in _SENTINEL + _CLUSTER else host
    return f"{bracketed}:{parts.port or port}"


def unusable_file_of(places: Places) -> str | None:
    """What is wrong with a file of TLS that the URL names; None where all are good."""
    for url in (places.server, *places.urls):
        options = dict(parse_qsl(urlsplit(url).query))
        if wrong := unusable_file(options, _TLS):
            return wrong
    return None


def pool_of(url: str, **options: Any) -> ConnectionPool:  # noqa: ANN401 - what the driver takes
    """A pool whose connections can be made; none is opened.

    Args:
        url: of one server: redis://, rediss:// or unix://.
        options: of the driver.

    Raises:
        ConfigError: the URL cannot be.
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
