import io
import json
import logging
from collections.abc import Iterator

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


def test_readable_lines_on_a_terminal() -> None:
    stream = Terminal()
    configure("DEBUG", stream)
    logging.getLogger("headrace.worker").debug("took %d", 3, extra={"queue": "emails"})
    assert stream.getvalue().endswith(" debug   worker: took 3  queue=emails\n")


def test_configuring_twice_writes_once() -> None:
    stream = io.StringIO()
    configure(stream=stream)
    configure(stream=stream)
    logging.getLogger("headrace").info("hello")
    assert len(stream.getvalue().splitlines()) == 1
