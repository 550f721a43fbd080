"""Histories of real processes are runs of the model; those of broken twins are not."""

from pathlib import Path

import pytest

from chaos import ledger_scenarios as scenarios
from chaos.events import AnyEvent, EnqueueReturned, Outcome, Settled, SettleSent, StartChecked
from chaos.site import Site
from chaos.traces import told
from model.replay import Misfit, replay


@pytest.fixture
async def site(tmp_path: Path, migrated_url: str) -> Site:
    """In direct mode, which is what the model of the replay knows."""
    site = Site(tmp_path, migrated_url)
    await site.prepare()
    return site


def test_an_answer_that_is_written_down_late_stands_where_it_was_given() -> None:
    """The worker that waits for it is stopped, and the next one has the job in the meantime."""
    history: list[AnyEvent] = [
        _start(2, "a"),
        _sent(2, "a", Outcome.RETRY),
        EnqueueReturned(job="j"),
        _start(4, "b"),
        _sent(4, "b", Outcome.DEAD),
        _settled(4, "b", Outcome.DEAD),
        _settled(2, "a", Outcome.RETRY),
    ]
    assert replay(told(history)) is None


def test_what_was_sent_too_late_is_not_put_before() -> None:
    history: list[AnyEvent] = [
        EnqueueReturned(job="j"),
        _start(2, "a"),
        _start(4, "b"),
        _sent(4, "b", Outcome.DEAD),
        _settled(4, "b", Outcome.DEAD),
        _sent(2, "a", Outcome.RETRY),
        _settled(2, "a", Outcome.RETRY),
    ]
    misfit = replay(told(history))
    assert misfit is not None
    assert misfit.event["gen"] == 2


def _start(gen: int, worker: str) -> StartChecked:
    return StartChecked(job="j", gen=gen, worker=worker, attempt=1, asked_at=0)


def _sent(gen: int, worker: str, outcome: Outcome) -> SettleSent:
    return SettleSent(job="j", gen=gen, worker=worker, outcome=outcome)


def _settled(gen: int, worker: str, outcome: Outcome) -> Settled:
    return Settled(job="j", gen=gen, worker=worker, outcome=outcome, accepted=True)


async def test_the_model_explains_a_zombie(site: Site) -> None:
    await scenarios.a_zombie_ends_during_the_next_run(site)
    steps = told(site.events())
    assert [step["event"] for step in steps].count("start") == 2
    assert replay(steps) is None


async def test_the_model_cannot_explain_a_settle_without_its_fence(site: Site) -> None:
    await scenarios.a_zombie_ends_during_the_next_run(site.broken("settle_without_gen"))
    misfit = replay(told(site.events()))
    assert isinstance(misfit, Misfit)
    assert misfit.event["event"] == "settle"
