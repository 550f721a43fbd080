"""What can be said of unique jobs, and how what cannot be is refused."""

from datetime import timedelta
from typing import Any

import pytest

from headrace import Unique, UsageError


def test_a_key_holds_until_its_job_is_done_unless_something_else_is_said() -> None:
    assert Unique().until == "done"
    assert Unique(for_="1h").until is None
    assert Unique(for_="1h").for_ == timedelta(hours=1)
    assert Unique(by=["a", "b"]).by == ("a", "b")


@pytest.mark.parametrize(
    ("said", "document"),
    [
        ({}, {"until": "done", "on_conflict": "return"}),
        (
            {"key": "k", "until": "started", "for_": "90s", "on_conflict": "debounce"},
            {"key": "k", "until": "started", "for": 90.0, "on_conflict": "debounce"},
        ),
        (
            {"by": ["a"], "for_": "1m", "per_queue": True, "on_conflict": "ignore"},
            {"by": ("a",), "for": 60.0, "per_queue": True, "on_conflict": "ignore"},
        ),
    ],
)
def test_a_document(said: dict[str, Any], document: dict[str, Any]) -> None:
    assert Unique(**said).document() == document


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"until": "dawn"}, "until='dawn' is unknown; known: 'queued', 'started', 'done', None"),
        ({"on_conflict": "panic"}, "on_conflict='panic' is unknown; known: 'return', 'ignore'"),
        ({"per_queue": 1}, "per_queue=1 is unknown; known: True, False"),
        ({"key": "k", "by": ["a"]}, "key and by exclude each other; give one of them"),
        ({"key": ""}, "key has 0 characters; give 1 to 500"),
        ({"key": "a\0"}, "contains a NUL"),
        ({"by": "customer"}, "by='customer' is no list of arguments; write by="),
        ({"by": []}, "by=.* is no list of arguments"),
        ({"for_": "0s"}, 'for_="0s" would hold for no time'),
        ({"for_": 3}, 'for_=3 has no unit; write "3s"'),
        ({"on_conflict": "replace"}, 'could not replace a job that runs.* give until="started"'),
        ({"on_conflict": "debounce", "for_": "1h"}, "could not replace a job that runs"),
    ],
)
def test_what_cannot_be(said: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Unique(**said)
