"""Ticks: cron in zones whose clocks are set, intervals without drift, and what is caught up."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import UsageError
from headrace.model.cron import read_cron
from headrace.model.timing import Timing
from headrace.model.timing_options import TimingOptions, edited, read_timing

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
# Days on which clocks are set: forward and back, by half an hour in Lord Howe, before and after
# Ramadan in Casablanca, and over a whole day in Apia.
DAYS = {
    "Europe/Berlin": ["2026-03-29", "2026-10-25"],
    "America/New_York": ["2026-03-08", "2026-11-01"],
    "Australia/Lord_Howe": ["2026-04-05", "2026-10-04"],
    "Africa/Casablanca": ["2026-02-15", "2026-03-22"],
    "Pacific/Apia": ["2011-12-30"],
    "UTC": ["2026-03-29"],
}
MINUTES = ["*", "*/15", "*/7", "0", "30", "0,45", "10-20", "5/20"]
HOURS = ["*", "*/2", "2", "1-3", "0,2", "3", "*/5", "1"]
MONTH_DAYS = ["*", "*", "L", "*/2", "4,5,8,29"]
WEEKDAYS = ["*", "*", "SUN", "SAT,SUN", "MON-FRI", "SUN#1", "7L"]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def looked_up(expression: str, zone: ZoneInfo, after: datetime, until: datetime) -> list[datetime]:
    """The ticks, found by looking at the wall each minute; this is what the rules mean."""
    cron = read_cron(expression)
    calendar = CronSim(cron.minutes, datetime(2030, 1, 1))  # noqa: DTZ001 - never asked for a time

    def fits(wall: datetime) -> bool:
        at_time = wall.minute in calendar.minutes and wall.hour in calendar.hours
        return at_time and wall.month in calendar.months and calendar.match_day(wall.date())

    def shown_at(moment: datetime) -> datetime:
        return moment.astimezone(zone).replace(tzinfo=None, fold=0)

    moment = after.replace(second=0) - DAY
    found, seen, before = [], set(), shown_at(moment - MINUTE)
    while moment <= until:
        wall = shown_at(moment)
        walls = [wall]
        if cron.fixed and wall > before + MINUTE:
            skipped = int((wall - before) / MINUTE)
            walls = [before + n * MINUTE for n in range(1, skipped + 1)]
        if cron.fixed:
            walls = [one for one in walls if one not in seen]
            seen.update(walls)
        if any(map(fits, walls)) and moment > after:
            found.append(moment)
        before, moment = wall, moment + MINUTE
    return found


@st.composite
def crons(draw: st.DrawFn) -> tuple[str, str, datetime]:
    zone = draw(st.sampled_from(sorted(DAYS)))
    fields = [MINUTES, HOURS, MONTH_DAYS, ["*"], WEEKDAYS]
    expression = " ".join(draw(st.sampled_from(one)) for one in fields)
    first = utc(draw(st.sampled_from(DAYS[zone]))) - DAY
    return expression, zone, first + timedelta(seconds=draw(st.integers(0, 86_400)))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(crons(), st.lists(st.integers(0, 144_000), min_size=1, max_size=5))
def test_ticks_are_those_that_the_rules_mean(
    drawn: tuple[str, str, datetime], offsets: list[int]
) -> None:
    expression, name, after = drawn
    until = after + timedelta(hours=40)
    expected = looked_up(expression, ZoneInfo(name), after, until)
    timing = Timing(cron=expression, tz=name)
    assert list(timing.ticks(after, until)) == expected
    for offset in offsets:  # whoever comes in between finds the same
        moment = after + timedelta(seconds=offset)
        later = [one for one in expected if one > moment]
        assert not later or timing.after(moment) == later[0]


TABLE = [
    # The hour from 2 to 3 is left out: what was to run in it runs at its end, once.
    ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", ["29 03:00 +0200", "30 02:30 +0200"]),
    ("0,30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", ["29 03:00 +0200", "30 02:00 +0200"]),
    ("0 2,3 * * *", "Europe/Berlin", "2026-03-28T12:00", ["29 03:00 +0200", "30 02:00 +0200"]),
    ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00", ["04 02:30 +1100", "05 02:15 +1100"]),
    # It comes twice: what is to run in it runs in the first one.
    ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00", ["25 02:30 +0200", "26 02:30 +0100"]),
    ("30 1 * * *", "America/New_York", "2026-10-31T12:00", ["01 01:30 -0400", "02 01:30 -0500"]),
    # Hourly ones run each real hour.
    ("0 * * * *", "Europe/Berlin", "2026-03-29T00:30", ["29 03:00 +0200", "29 04:00 +0200"]),
    ("0 * * * *", "Europe/Berlin", "2026-10-24T23:30", ["25 02:00 +0200", "25 02:00 +0100"]),
    ("30 * * * *", "Australia/Lord_Howe", "2026-04-04T14:00", ["05 01:30 +1100", "05 01:30 +1030"]),
    ("0 9 * * MON#2", "Europe/Berlin", "2026-11-23T00:00", ["14 09:00 +0100", "11 09:00 +0100"]),
    ("0 0 L * *", "UTC", "2026-01-31T00:00", ["28 00:00 +0000", "31 00:00 +0000"]),
    ("@weekly", "UTC", "2026-11-23T00:00", ["29 00:00 +0000", "06 00:00 +0000"]),
]


@pytest.mark.parametrize(("cron", "zone", "after", "expected"), TABLE)
def test_a_clock_that_is_set(cron: str, zone: str, after: str, expected: list[str]) -> None:
    found = Timing(cron=cron, tz=zone).upcoming(utc(after), 2)
    assert [f"{one.astimezone(ZoneInfo(zone)):%d %H:%M %z}" for one in found] == expected


def test_six_fields_begin_with_seconds() -> None:
    timing = Timing(cron="*/20 30 2 * * *", tz="Europe/Berlin")
    found = timing.upcoming(utc("2026-03-28T12:00"), 4)
    times = [f"{one.astimezone(ZoneInfo('Europe/Berlin')):%d %H:%M:%S}" for one in found]
    assert times == ["29 03:00:00", "29 03:00:20", "29 03:00:40", "30 02:30:00"]
    assert timing.after(found[1] + timedelta(milliseconds=1)) == found[2]


def test_an_interval_does_not_drift() -> None:
    every = Timing(every=timedelta(minutes=15))
    assert every.after(utc("2026-01-01T00:07")) == utc("2026-01-01T00:15")
    assert every.after(utc("2026-01-01T00:15")) == utc("2026-01-01T00:30")
    start = utc("2026-01-01T00:02")
    begun = Timing(every=timedelta(hours=7), start=start, end=start + DAY)
    expected = [start + n * timedelta(hours=7) for n in range(4)]
    assert begun.upcoming(utc("2025-01-01"), 9) == expected


def test_nothing_ticks_before_its_start_or_after_its_end() -> None:
    timing = Timing(cron="0 * * * *", start=utc("2026-01-01T10:00"), end=utc("2026-01-01T12:00"))
    hours = [one.hour for one in timing.upcoming(utc("2025-01-01"), 9)]
    assert hours == [10, 11, 12]


NOW = utc("2026-01-02T12:00:30")
BEFORE = utc("2026-01-02T09:30")


@pytest.mark.parametrize(
    ("policy", "hours"),
    [("skip", [12]), ("last", [12]), ("all(2)", [10, 11, 12]), ("all(9)", [10, 11, 12])],
)
def test_what_is_just_due_is_made_and_the_catch_up_decides_of_the_rest(
    policy: str, hours: list[int]
) -> None:
    due = Timing(cron="0 * * * *", catch_up=policy).due(BEFORE, NOW)
    assert [one.hour for one in due.ticks] == hours
    assert due.missed == (None if hours[0] == 10 else utc("2026-01-02T10:00"))
    assert (due.upto, due.then) == (NOW, utc("2026-01-02T13:00"))


@pytest.mark.parametrize(
    ("policy", "hours"), [("skip", []), ("last", [12]), ("all(2)", [11, 12]), ("all(1)", [12])]
)
def test_after_an_outage(policy: str, hours: list[int]) -> None:
    due = Timing(cron="0 * * * *", catch_up=policy).due(BEFORE, NOW + timedelta(minutes=10))
    assert [one.hour for one in due.ticks] == hours


def test_a_year_of_missed_seconds_is_not_counted() -> None:
    cron = Timing(cron="* * * * * *", catch_up="all(3)")
    due = cron.due(NOW - 365 * DAY, NOW)
    assert len(due.ticks) == 3 + 60
    assert due.ticks[-1] == NOW


def test_a_limit_counts_what_was_made() -> None:
    timing = Timing(every=timedelta(seconds=10), limit=5)
    before = NOW - timedelta(seconds=40)
    first = timing.due(before, NOW, made=0)
    assert (len(first.ticks), first.then) == (4, NOW + timedelta(seconds=10))
    last = timing.due(before, NOW, made=3)
    assert ([one.second for one in last.ticks], last.then) == ([0, 10], None)


def test_jitter_is_the_same_for_whoever_computes_it() -> None:
    timing = Timing(every=timedelta(minutes=1), jitter=timedelta(seconds=30))
    delays = [timing.delay("a", NOW + n * MINUTE) for n in range(200)]
    assert delays == [timing.delay("a", NOW + n * MINUTE) for n in range(200)]
    assert delays[0] == timing.delay("a", NOW.astimezone(ZoneInfo("Asia/Tokyo")))
    assert delays[0] != timing.delay("b", NOW)
    assert timedelta(0) <= min(delays) < timedelta(seconds=2)
    assert timedelta(seconds=28) < max(delays) < timedelta(seconds=30)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"cron": "61 * * * *"}, "cron='61 * * * *' cannot be: its minute may be 0 to 59"),
    ({"cron": "* * *"}, "cron='* * *' has 3 fields; write five"),
    ({"cron": "0 0 31 2 *"}, "cannot be: its day-of-month may be 1 to 31"),
    ({"cron": "@reboot"}, "cron='@reboot' has 1 fields"),
    ({"cron": 5}, "cron=5 is not a string"),
    ({"cron": "@daily", "tz": "Europe/Berln"}, 'no time zone; write one such as "Europe/Berlin"'),
    ({"cron": "@daily", "tz": 1}, "tz=1 is no time zone"),
    ({"every": "0s"}, "every='0s' is shorter than a second; give at least"),
    ({"every": 5}, 'every=5 has no unit; write "5s"'),
    ({"every": "5m", "tz": "UTC"}, "says nothing of every; leave it out"),
    ({}, "nothing says when it ticks; give cron="),
    ({"cron": "@daily", "every": "5m"}, "exclude each other; give one"),
    ({"every": "5m", "start": NOW.replace(tzinfo=None)}, "has no time zone; add one"),
    ({"every": "5m", "end": "2026"}, "end='2026' is not a datetime; give an aware one"),
    ({"every": "5m", "start": NOW, "end": NOW - DAY}, "is not after start="),
    ({"cron": "@yearly", "start": NOW, "end": NOW + DAY}, "no tick lies between start and end"),
    ({"every": "5m", "limit": 0}, "limit=0 is no number of ticks; give 1 or more"),
    ({"every": "5m", "catch_up": "all"}, "catch_up='all' is unknown; write"),
    ({"every": "5m", "jitter": "soon"}, "jitter='soon' is not a duration"),
]


@pytest.mark.parametrize(("options", "says"), REFUSED)
def test_what_cannot_be_is_refused_in_a_sentence(options: TimingOptions, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_timing(options, "nightly")
    assert str(refused.value).startswith('schedule "nightly": ')
    assert says in str(refused.value)


def test_an_edit_keeps_what_it_does_not_name() -> None:
    before = read_timing({"cron": "0 3 * * *", "tz": "Asia/Tokyo", "limit": 5}, "n")
    assert edited(before, {"cron": "0 4 * * *"}, "n").tz == "Asia/Tokyo"
    every = edited(before, {"every": "15m"}, "n")
    assert (every.cron, every.every, every.tz, every.limit) == (None, 15 * MINUTE, "UTC", 5)
    assert edited(every, {"limit": None}, "n").limit is None
    assert edited(every, {"cron": "0 4 * * *", "tz": "Asia/Tokyo"}, "n").every is None
