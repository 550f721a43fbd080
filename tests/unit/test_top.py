"""What `headrace top` makes of what it reads."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from rich.console import Console

from headrace.cli.top.page import page
from headrace.cli.top.rates import MINUTE, Rate, Rates, sparkline
from headrace.cli.top.tables import queue_row, relay_sentence, waiting, worker_row
from headrace.model.fleet import Fleet, Leader, WorkerSeen
from headrace.model.inspection import BOUND, QueueCounts
from headrace.model.lane_view import LaneView, Mode
from headrace.model.promise import Promise

NOW = datetime.now(UTC)


def counts(queue: str = "q", **numbers: int) -> QueueCounts:
    names = ("live", "available", "scheduled", "retryable", "running", "blocked")
    over = ("completed", "dead", "cancelled")
    zeros = dict.fromkeys((*names, *over), 0)
    known = {"queue": queue, "paused": False, "oldest": None, "promise": Promise.STANDARD}
    return QueueCounts(**(known | zeros | numbers))  # type: ignore[arg-type]  # fields by name


def worker(**fields: object) -> WorkerSeen:
    values = {
        "id": uuid4(),
        "host": "mill",
        "pid": 7,
        "queues": ("q",),
        "slots": 10,
        "busy": 3,
        "started_at": NOW,
        "silent": 1.0,
        "lease": 15.0,
    }
    return WorkerSeen(**(values | fields))  # type: ignore[arg-type]  # fields by name


@dataclass
class Seen:
    queues: list[QueueCounts] = field(default_factory=list)
    workers: tuple[WorkerSeen, ...] = ()
    leaders: tuple[Leader, ...] = ()

    def page(self, width: int, height: int) -> list[str]:
        fleet = Fleet(lane=LaneView(1, Mode.DIRECT), workers=self.workers, leaders=self.leaders)
        console = Console(width=width, height=height)
        with console.capture() as captured:
            console.print(page("headrace", self.queues, fleet, Rates(), (width, height)))
        return captured.get().splitlines()


def test_rates_are_the_differences_of_two_readings_by_second() -> None:
    rates = Rates()
    rates.read([counts(live=10, completed=100)], at=50.0)
    assert (rates.queues, list(rates.minute)) == ({}, [])
    rates.read([counts(live=4, completed=108, dead=1, cancelled=1), counts("new")], at=52.0)
    assert rates.queues == {"q": Rate(came=2.0, ended=5.0)}
    assert list(rates.minute) == [5.0]


def test_what_is_removed_is_no_negative_rate() -> None:
    rates = Rates()
    rates.read([counts(completed=100, dead=3)], at=0.0)
    rates.read([counts(completed=40, dead=5)], at=1.0)
    assert rates.queues == {"q": Rate(came=0.0, ended=2.0)}


def test_a_minute_is_kept() -> None:
    rates = Rates()
    for second in range(2 * MINUTE):
        rates.read([counts(completed=second * second)], at=float(second))
    assert list(rates.minute)[-1] == 2.0 * (2 * MINUTE - 1) - 1
    assert len(rates.minute) == MINUTE


@pytest.mark.parametrize(
    ("values", "bars"),
    [([], ""), ([0, 0], "  "), ([0, 1, 4, 8], " ▂▅█"), ([0.001, 1000], "▁█")],
)
def test_bars(values: list[float], bars: str) -> None:
    assert sparkline(values) == bars


def test_a_backlog_beyond_the_bound_is_told_exactly_where_it_can_be() -> None:
    more = BOUND + 1
    assert waiting(counts(live=7, available=7)) == "7"
    assert waiting(counts(live=1_000_050, available=more, scheduled=30, running=20)) == "1,000,000"
    assert waiting(counts(live=2_000_000, available=more, scheduled=more)) == "10,000+"


def test_a_worker_of_an_earlier_version_and_one_that_is_silent() -> None:
    assert worker_row(worker(slots=None, busy=None))[:3] == ("mill:7", "?/?", "1s")
    assert worker_row(worker(silent=15.1))[2] == "silent"
    assert worker_row(worker(silent=15.1, lease=None))[2] == "15s"


def test_who_leads_is_named() -> None:
    def told(*leaders: Leader) -> str:
        view = LaneView(1, Mode.HYBRID)
        return relay_sentence(Fleet(lane=view, workers=(), leaders=leaders))

    assert told(Leader(role="relay", host="mill", pid=7)) == "relay: mill:7 leads"
    assert "earlier version" in told(Leader(role="relay", host=None, pid=None))
    assert "needs none" in told(Leader(role="reaper", host="mill", pid=7))
    assert "headrace relay" in told()


@pytest.mark.parametrize("width", [10, 20, 40, 80, 200])
def test_a_page_fits_its_terminal(width: int) -> None:
    seen = Seen(
        [counts(f"a.queue.with.a.long.name.{n:03}", live=n, available=n) for n in range(100)],
        tuple(worker(pid=n, queues=("one", "other")) for n in range(50)),
    )
    lines = seen.page(width, 24)
    assert max(map(len, lines)) <= width
    assert len(lines) <= 24
    if width >= 40:
        assert sum("a.queue" in line for line in lines) >= 8
        assert sum("mill:" in line for line in lines) >= 4
        assert any("more" in line for line in lines)


def test_the_least_telling_columns_go_first() -> None:
    seen = Seen([counts("orders", live=1, available=1, dead=1)])
    wide, narrow, narrowest = ("\n".join(seen.page(n, 24)) for n in (100, 40, 16))
    assert "oldest" in wide
    assert "oldest" not in narrow
    assert "dead" in narrow
    assert "dead" not in narrowest
    assert "waiting" in narrowest


def test_queues_with_something_to_do_are_shown_first() -> None:
    idle = [counts(f"idle{n}") for n in range(50)]
    shown = "\n".join(Seen([*idle, counts("zeta", live=1, available=1)]).page(80, 24))
    assert "zeta" in shown


def test_an_idle_queue_shows_its_numbers() -> None:
    row = queue_row(counts(dead=12_345), Rate(0.4, 1234.5))
    assert row == ("q", "0", "0", "0", "12,345", "0.4", "1,234", "", "")
