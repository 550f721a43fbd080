"""The model explains what real runs do, and names the first event that it cannot explain."""

import json
from typing import Any

import pytest

from model.replay import Misfit, replay


def history(text: str) -> list[dict[str, Any]]:
    """Read ``event job [worker gen [outcome [accepted]]]`` a line, as a run would log it."""
    names = ("event", "job", "worker", "gen", "outcome", "accepted")
    lines = []
    for line in text.strip().splitlines():
        event: dict[str, Any] = dict(zip(names, line.split(), strict=False))
        if "gen" in event:
            event["gen"] = int(event["gen"])
        if "accepted" in event:
            event["accepted"] = event["accepted"] == "yes"
        lines.append(json.loads(json.dumps(event)))
    return lines


GOOD = {
    "one run": """
        insert a
        start a w1 2
        finish a w1 2 complete
        settle a w1 2 complete yes
    """,
    "a retry on another worker": """
        insert a
        start a w1 2
        finish a w1 2 retry
        settle a w1 2 retry yes
        start a w2 4
        finish a w2 4 complete
        settle a w2 4 complete yes
    """,
    "a kill, and the job runs again": """
        insert a
        start a w1 2
        start a w2 4
        finish a w2 4 complete
        settle a w2 4 complete yes
    """,
    "a zombie is refused": """
        insert a
        start a w1 2
        start a w2 4
        finish a w1 2 complete
        settle a w1 2 complete no
        finish a w2 4 complete
        settle a w2 4 complete yes
    """,
    "a settle whose reply nobody read": """
        insert a
        start a w1 2
        finish a w1 2 retry
        start a w1 4
        finish a w1 4 complete
        settle a w1 4 complete yes
    """,
    "a settle whose reply comes late": """
        insert a
        start a w1 2
        finish a w1 2 retry
        start a w2 4
        settle a w1 2 retry yes
        finish a w2 4 complete
        settle a w2 4 complete yes
    """,
    "the insert's reply comes after the run": """
        start a w1 2
        insert a
        finish a w1 2 complete
        settle a w1 2 complete yes
    """,
    "claims that never started": """
        insert a
        start a w1 8
        finish a w1 8 snooze
        settle a w1 8 snooze yes
        start a w1 10
        finish a w1 10 dead
        settle a w1 10 dead yes
    """,
    "everything told": """
        insert a
        claim a w1 2
        start a w1 2
        reap a w1 2
        claim a w2 4
        release a w2 4
        claim a w2 6
        start a w2 6
        finish a w2 6 cancel
        settle a w2 6 cancel yes
    """,
    "two jobs": """
        insert a
        insert b
        start b w1 2
        start a w1 2
        finish a w1 2 complete
        finish b w1 2 complete
        settle b w1 2 complete yes
        settle a w1 2 complete yes
    """,
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_a_sound_history_is_explained(text: str) -> None:
    assert replay(history(text)) is None


BAD = {
    "a start after the completion": (
        4,
        """
        insert a
        start a w1 2
        finish a w1 2 complete
        settle a w1 2 complete yes
        start a w2 4
        """,
    ),
    "a second completion": (
        6,
        """
        insert a
        start a w1 2
        finish a w1 2 complete
        start a w2 4
        finish a w2 4 complete
        settle a w2 4 complete yes
        settle a w1 2 complete yes
        """,
    ),
    "one token twice": (
        2,
        """
        insert a
        start a w1 2
        start a w2 2
        """,
    ),
    "an attempt that was reaped, yet accepted": (
        5,
        """
        insert a
        claim a w1 2
        start a w1 2
        reap a w1 2
        finish a w1 2 complete
        settle a w1 2 complete yes
        """,
    ),
    "an attempt that was refused and starts again": (
        4,
        """
        insert a
        start a w1 2
        finish a w1 2 complete
        settle a w1 2 complete no
        start a w1 2
        """,
    ),
    "a start that nobody claimed, though claims are told": (
        3,
        """
        insert a
        claim a w1 2
        start a w1 2
        start a w2 4
        """,
    ),
    "a run that was never reaped, though reaps are told": (
        5,
        """
        insert b
        start b w1 2
        reap b w1 2
        insert a
        start a w1 2
        start a w2 4
        """,
    ),
}


@pytest.mark.parametrize(("index", "text"), BAD.values(), ids=BAD)
def test_the_first_event_that_does_not_fit_is_named(index: int, text: str) -> None:
    events = history(text)

    assert replay(events) == Misfit(index, events[index])


def test_an_unknown_event_is_refused() -> None:
    with pytest.raises(ValueError, match="event 0 is 'enqueue'; the model knows beat, claim"):
        replay([{"event": "enqueue", "job": "a"}])
