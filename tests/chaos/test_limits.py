"""Starts under a rate limit while everybody dies, replies are lost and the lane comes and goes.

When a start counted is known within bounds: not before its limits were asked, plus what they told
it to wait, and not after its handler began. Of starts whose bounds all lie within a window, that
window held them for certain, however slow the machine was; so nothing is allowed for its pace.
"""

from bisect import bisect_right, insort
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple

import pytest

from chaos.commotion import commotion
from chaos.events import Admitted, AnyEvent, StartChecked
from chaos.fleet import Fleet
from chaos.limit_twins import LIMIT_TWINS
from chaos.processes.tasks import NARROW
from chaos.serverfaults import end_backends
from chaos.site import Mode, Site
from chaos.valkeyfaults import faults_of_the_lane
from headrace.ledger.queries import Queries
from headrace.ledger.verify import verify
from headrace.model.rate import Rate

SEED = 5
LIVE = 60
ENOUGH = "SELECT count(*) >= 100 FROM headrace.job"
# PostgreSQL's clock is slewed towards true time by up to 1/2000, the clock of the history is not;
# and a timer may ring a millisecond early.
TOLERANCE = 2_000_000  # ns


class Start(NamedTuple):
    """A start, which counted between these times (ns)."""

    earliest: int
    latest: int


async def test_no_window_has_more_starts_whoever_dies(site: Site) -> None:
    async with fire(site) as fleet:
        await site.ledger_says(ENOUGH, within=60)
        await fleet.retire("producer")
        await site.quiet(within=60)
    verdict = await site.verdict()
    assert not verdict.violations, str(verdict)
    assert verdict.summary.faults["kill"] >= 5
    assert verdict.summary.faults["backends"] >= 2
    if site.mode is Mode.HYBRID:
        assert verdict.summary.faults["lane off and on"] >= 2
        assert verdict.summary.faults["flush"] >= 1
    starts, unasked = starts_of(site.events())
    assert len(starts) > 100
    assert unasked == []
    assert {str(rate): fullest(starts, rate) for rate in NARROW.rates if over(starts, rate)} == {}
    async with Queries(site.database_url) as queries:
        found = await verify(queries, quiesced=True, repair=False)
    assert {one.check.name: one.breaches for one in found if one.breaches} == {}


@pytest.mark.parametrize("site", [Mode.DIRECT], indirect=True)
@pytest.mark.parametrize("twin", LIMIT_TWINS)
async def test_a_twin_fails(site: Site, twin: str) -> None:
    async with fire(site.broken(twin)):
        await site.started(100)
    starts, _ = starts_of(site.events())
    assert any(over(starts, rate) for rate in NARROW.rates), f"{twin} was not found out"


def fire(site: Site) -> AbstractAsyncContextManager[Fleet]:
    """Let jobs under a limit flow through all faults."""
    more = [end_backends(site.database_url, weight=3), *faults_of_the_lane(site)]
    return commotion(site, ("limited",), seed=SEED, live=LIVE, more=more)


def starts_of(history: Iterable[AnyEvent]) -> tuple[list[Start], list[StartChecked]]:
    """All starts, and those that asked nobody."""
    admitted: dict[tuple[str, int, int], Admitted] = {}
    starts: list[Start] = []
    unasked: list[StartChecked] = []
    for event in history:
        match event:
            case Admitted():
                admitted[event.job, event.gen, event.pid] = event
            case StartChecked():
                asked = admitted.pop((event.job, event.gen, event.pid), None)
                if asked is None:
                    unasked.append(event)
                else:
                    starts.append(Start(asked.asked_at + int(asked.wait * 1e9), event.at))
            case _:
                pass
    return starts, unasked


def over(starts: Iterable[Start], rate: Rate) -> bool:
    """Whether a window certainly held more than the rate allows."""
    return fullest(starts, rate) > rate.most


def fullest(starts: Iterable[Start], rate: Rate) -> int:
    """How many starts lie within one window at least, where it holds most."""
    span = int(rate.span.total_seconds() * 1e9) - TOLERANCE
    later: list[int] = []  # when those that counted no earlier than this one did so at the latest
    most = 0
    for start in sorted(starts, reverse=True):
        insort(later, start.latest)
        most = max(most, bisect_right(later, start.earliest + span - 1))
    return most
