"""A URL that cannot be is refused for what is wrong with it, and its password is never repeated."""

import socket

import asyncpg
import pytest

from headrace.errors import ConfigError, LedgerUnavailable
from headrace.lanes.redis.connection import Links
from headrace.lanes.redis.url import read_places
from headrace.ledger.url import place, reaching

_PASSWORD = "percent-encode / ? # @ [ and ] in its password, as %2F %3F %23 %40 %5B and %5D"
OF_DATABASES = [
    ("u:hunt2@h/d", "names no scheme"),
    ("u:hunt://2@h/d", "names no scheme"),
    ("mysql://u:hunt@h/d", "begins with 'mysql', not with postgresql:// or postgres://"),
    ("postgresql+asyncpg://u:hunt@h/d", "begins with 'postgresql+asyncpg', not with postgresql"),
    ("postgresql://u:hunt/2@h/d", _PASSWORD),
    ("postgresql://u:hunt#2@h/d", _PASSWORD),
    ("postgresql://u:hunt?2@h/d", _PASSWORD),
    ("postgresql://u:hunt@2@h/d", _PASSWORD),
    ("postgresql://u:hunt[2@h/d", _PASSWORD),
    ("postgresql://u:hunt@h:54x2/d", "names the port '54x2', which is no number from 1 to 65535"),
    ("postgresql://u:hunt@h:99999/d", "names the port '99999'"),
    ("postgresql://u:hunt@h:0/d", "names the port '0'"),
    ("postgresql://u:hunt@[::1]:x/d", "names the port 'x'"),
    ("postgresql://u:hunt@h1:1,h2:2/d", "names the port '1,h2:2'"),
    ("postgresql://u:hunt/d", "names a port that is no number from 1 to 65535"),
]
OF_LANES = [
    ("127.0.0.1:6379", "names no scheme"),
    ("valkey://h", "begins with 'valkey', not with redis://, rediss://, unix://"),
    ("redis://:hunt/2@h", _PASSWORD),
    ("redis://:hunt@h:63x", "names the port '63x'"),
    ("redis://:hunt@h/x", "names the database 'x', which is no number"),
    ("redis://:hunt@h/?database=1", "has an option that its driver refuses: .*'database'"),
    ("redis://:hunt@h/?db=one", "has an option that its driver refuses: "),
    ("unix://:hunt@", "names no path of a socket"),
]
OF_MANY = [
    ("redis+sentinel://:hunt@h:1,h:2", "names no service"),
    ("redis+sentinel://:hunt@h:1,/service", "names no host, or an empty one in its list"),
    ("redis+sentinel://:hunt@h:1,h:2x/service", "names the port '2x'"),
    ("redis+sentinel://:hu,nt/2@h:1,h:2/service", _PASSWORD),
    ("redis+sentinel://:hunt@h:1/service/x", "names the database 'x', which is no number"),
    ("rediss+cluster://:hunt@", "names no host"),
    ("redis+cluster://:hunt@h:1,h:2/1", "names a database, and a cluster has none but 0"),
    ("redis+cluster://:hunt@h:1?database=1", "has an option that its driver refuses"),
]


@pytest.mark.parametrize(("url", "words"), OF_DATABASES)
def test_of_a_database(url: str, words: str) -> None:
    with pytest.raises(ConfigError) as refused, reaching(url):
        pytest.fail("it is taken")
    _check(str(refused.value), "the database URL ", words, "postgresql://user:password@host:5432/")


@pytest.mark.parametrize(("url", "words"), OF_LANES)
def test_of_a_lane(url: str, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Links(url)
    assert refused.value.__cause__ is None
    _check(str(refused.value), "the lane's URL ", words, "redis://user:password@host:6379/0")


@pytest.mark.parametrize(("url", "words"), OF_MANY)
def test_of_sentinels_and_of_a_cluster(url: str, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Links(url)
    assert refused.value.__cause__ is None
    _check(str(refused.value), "the lane's URL ", words, "redis")


def _check(told: str, begin: str, words: str, example: str) -> None:
    assert told.startswith(begin)
    assert words.partition(": .*")[0] in told
    assert example in told
    assert "hunt" not in told


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("postgresql://u:p@h:1/d", "h:1/d"),
        ("postgres://h", "h:5432"),
        ("postgresql:///d?host=/run", "localhost:5432/d"),
        ("postgresql://u:p@[::1]/d", "::1:5432/d"),
        ("postgresql://h/d?user=a@b", "h:5432/d"),
    ],
)
def test_what_is_well_is_taken(url: str, where: str) -> None:
    with reaching(url):
        assert place(url) == where


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("redis://", "localhost:6379"),
        ("rediss://u:p@h:1/3", "h:1"),
        ("redis://h/?db=2", "h:6379"),
        ("unix:///run/valkey.sock?db=1", "/run/valkey.sock"),
        ("redis+sentinel://u:p@h,[::1]:2/s/3", "s of the Sentinels at h:26379,[::1]:2"),
        ("rediss+cluster://u:p@h:1,h", "the cluster at h:1,h:6379"),
    ],
)
def test_what_is_well_is_taken_of_a_lane(url: str, where: str) -> None:
    assert Links(url).name == read_places(url).name == where


def test_who_asks_sentinels_has_names_and_passwords_for_both() -> None:
    url = "rediss+sentinel://u:p@h1:1,h2/s/3?ssl_ca_certs=ca&sentinel_username=a&sentinel_password=b%40"
    places = read_places(url)
    assert places.urls == (
        "rediss://h1:1?ssl_ca_certs=ca&username=a&password=b%40",
        "rediss://h2:26379?ssl_ca_certs=ca&username=a&password=b%40",
    )
    assert places.at("::2", 7) == "rediss://u:p@[::2]:7/3?ssl_ca_certs=ca"


@pytest.mark.parametrize(
    ("url", "error", "words"),
    [
        ("postgresql:///d", OSError("refused"), "runs and the URL, which names no host"),
        ("postgresql://@:1/d", socket.gaierror(-2, "unknown"), "the URL, which names no host"),
        ("postgresql://h/d", OSError("refused"), "check that it runs and the URL"),
        ("postgresql://u@h", asyncpg.InvalidCatalogNameError(), "of the user: add /DATABASE"),
        ("postgresql://u@h/", asyncpg.InvalidCatalogNameError(), "the URL names none"),
        ("postgresql://u@h/d", asyncpg.InvalidCatalogNameError(), "has no such database; create"),
    ],
)  # fmt: skip
def test_what_the_url_leaves_out_is_told_where_it_fails(
    url: str, error: Exception, words: str
) -> None:
    with pytest.raises(LedgerUnavailable) as told, reaching(url):
        raise error
    assert words in str(told.value)
