import json

import pytest

from headrace.config import read_settings
from headrace.errors import ConfigError
from headrace.model.redaction import Redaction
from headrace.model.verdict import describe


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("password=hunter2 failed", "password=*** failed"),
        ("{'db_password': 'a b', 'user': 'ann'}", "{'db_password': ***, 'user': 'ann'}"),
        ('{"api_key":"k-1","n":1}', '{"api_key":***,"n":1}'),
        ("client_secret: s3cr3t, x", "client_secret: ***, x"),
        ("X-Auth-Token => abc", "X-Auth-Token => ***"),
        ("Authorization: Bearer abcdefgh.ijk", "Authorization: ***"),
        ("sent bearer abcdefghij to it", "sent bearer *** to it"),
        ("postgresql://ann:pa%20ss@db/shop", "postgresql://ann:***@db/shop"),
        ("redis://:word@cache:6379", "redis://:***@cache:6379"),
        ("eyJhbGciOiJIUzI1NiJ9.e30.abc-_1 expired", "*** expired"),
        ("AKIAABCDEFGHIJKLMNOP", "***"),
        ("sk_live_abcdefgh1234", "***"),
        ("ghp_abcdefghijklmnop", "***"),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY----- x", "*** x"),
        ("-----BEGIN PRIVATE KEY-----\ncut off", "***"),
        ("order 17 of ann@shop.example at 10:30", "order 17 of ann@shop.example at 10:30"),
        ("https://shop.example/a:b@c", "https://shop.example/a:b@c"),
        ("the token is missing", "the token is missing"),
    ],
)
def test_what_looks_like_a_secret_is_hidden(text: str, kept: str) -> None:
    assert Redaction().clean(text) == kept


def test_patterns_of_an_application() -> None:
    redaction = Redaction([r"card (?P<secret>\d{4})", r"ann@\S+"])
    assert redaction.clean("card 4242 of ann@shop.example") == "card *** of ***"


def test_errors_are_cleaned_in_all_their_parts() -> None:
    error = describe("ValueError", "password=x", "  connect(password=y)")
    assert json.loads(Redaction().clean_error(error)) == {
        "type": "ValueError",
        "message": "password=***",
        "stack": "  connect(password=***)",
    }
    plain = describe("ValueError", "boom")
    assert Redaction().clean_error(plain) is plain


def test_a_long_text_costs_no_more_than_its_length() -> None:
    """No pattern goes back and forth: what takes a second here would take hours."""
    for text in ("a" * 8_000, "-" * 8_000, "token" * 1_600, "eyJ" * 2_600, "x://" * 2_000):
        Redaction().clean(text)


def test_patterns_as_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_settings({"redact": ["a+"]}).redact == ("a+",)
    monkeypatch.setenv("HEADRACE_REDACT", '["b", "c"]')
    assert read_settings({}).redact == ("b", "c")
    with pytest.raises(ConfigError, match=r'"redact" .*\(\'\(\' is no regular expression'):
        read_settings({"redact": ["("]})
