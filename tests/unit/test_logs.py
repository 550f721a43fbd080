import io
import json
import logging
import re
from collections.abc import Iterator

import asyncpg.pool
import pytest

from headrace.telemetry.logs import configure


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    yield
    root.handlers, root.level = handlers, level


def fail() -> None:
    raise ValueError("bad\nthing")


def test_lines_of_json_where_nobody_looks() -> None:
    stream = io.StringIO()
    configure(stream=stream)
    log = logging.getLogger("headrace.worker")
    log.info("took %d", 3, extra={"queue": "emails"})
    log.debug("not this")
    try:
        fail()
    except ValueError:
        log.exception("gave up")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first.pop("time").endswith("+00:00")
    assert first == {
        "level": "info",
        "logger": "headrace.worker",
        "message": "took 3",
        "queue": "emails",
    }
    assert (second["level"], second["message"]) == ("error", "gave up")
    assert "ValueError: bad" in second["error"]


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_readable_lines_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    configure("DEBUG", stream)
    logging.getLogger("headrace.worker").debug("took %d", 3, extra={"queue": "emails"})
    logging.getLogger("headrace.supervisor").error("ended")
    logging.getLogger("shop").warning("low on\nstock")
    lines = stream.getvalue().splitlines()
    assert [plain(line)[13:] for line in lines[:3]] == [
        "debug    worker      took 3  queue=emails",
        "error    supervisor  ended",
        "warning  shop        low on",
    ]
    assert lines[3:] == ["stock"]
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3} ", plain(lines[0])[:13])
    assert "\x1b[31merror" in lines[1]
    assert "\x1b[33mwarning" in lines[2]
    assert all(line.count("\x1b[") % 2 == 0 for line in lines)


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_terminal_may_want_no_colour(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    stream = Terminal()
    configure(stream=stream)
    logging.getLogger("headrace.worker").error("ended")
    assert "\x1b" not in stream.getvalue()
    assert stream.getvalue().endswith(" error    worker      ended\n")


def test_a_pipe_gets_one_object_a_line_without_colour() -> None:
    stream = io.StringIO()
    configure(stream=stream)
    logging.getLogger("shop").warning("low on\nstock \x1b[31m")
    (line,) = stream.getvalue().splitlines()
    assert "\x1b" not in line
    assert json.loads(line)["message"] == "low on\nstock \x1b[31m"


def test_configuring_twice_writes_once() -> None:
    stream = io.StringIO()
    configure(stream=stream)
    configure(stream=stream)
    logging.getLogger("headrace").info("hello")
    assert len(stream.getvalue().splitlines()) == 1


def test_a_pool_that_fills_itself_again_is_not_heard() -> None:
    stream = io.StringIO()
    configure(stream=stream)
    pool = logging.getLogger(asyncpg.pool.__name__)  # as it calls its own
    pool.warning("Failed to restore the pool connection floor; retrying")
    assert not stream.getvalue()
    pool.error("all else")
    assert "all else" in stream.getvalue()
