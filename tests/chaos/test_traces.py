"""Histories of real processes are runs of the model; those of broken twins are not."""

from pathlib import Path

import pytest

from chaos import ledger_scenarios as scenarios
from chaos.site import Site
from chaos.traces import told
from model.replay import Misfit, replay


@pytest.fixture
async def site(tmp_path: Path, database_url: str) -> Site:
    """In direct mode, which is what the model of the replay knows."""
    site = Site(tmp_path, database_url)
    await site.prepare()
    return site


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
