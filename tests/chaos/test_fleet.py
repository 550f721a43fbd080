import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.events import FaultInjected, ProcessEnded, ProcessStarted
from chaos.faultplan import Fault, call, carry_out, kill, plan, stop, until
from chaos.fleet import Fleet, Member, ProcessFailed, Role
from chaos.history import History, read_history

SLEEPER = Role("sleeper", [sys.executable, "-c", "import time; time.sleep(60)"], processes=2)
FINISHER = Role("finisher", [sys.executable, "-c", "pass"])
FAILER = Role("failer", [sys.executable, "-c", "raise SystemExit('no ledger at that address')"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "history").mkdir()
    (tmp_path / "output").mkdir()
    return tmp_path


@pytest.fixture
def history(folder: Path) -> Iterator[History]:
    with History(folder / "history") as history:
        yield history


@pytest.fixture
def sleepers(folder: Path, history: History) -> Fleet:
    return Fleet([SLEEPER], history, folder / "output")


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def frozen(member: Member) -> bool:
    return Path(f"/proc/{member.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"


async def everybody(fleet: Fleet) -> list[Member]:
    await until(lambda: both_live(fleet), within=10, what="two sleepers")
    return fleet.members()


async def both_live(fleet: Fleet) -> bool:
    return len(fleet.members("sleeper")) == 2


async def test_leaving_ends_every_process(folder: Path, sleepers: Fleet) -> None:
    async with sleepers:
        pids = [member.pid for member in await everybody(sleepers)]
        assert all(map(alive, pids))
    assert not any(map(alive, pids))
    assert sleepers.members() == []
    events = read_history(folder / "history")
    assert [e.child for e in events if isinstance(e, ProcessStarted)] == pids
    ends = [e for e in events if isinstance(e, ProcessEnded)]
    assert {(e.child, e.status) for e in ends} == {(pid, -9) for pid in pids}


async def test_a_failing_run_ends_every_process_too(sleepers: Fleet) -> None:
    pids: list[int] = []

    async def run() -> None:
        async with sleepers:
            pids.extend(member.pid for member in await everybody(sleepers))
            raise ValueError("the run failed")

    with pytest.RaisesGroup(ValueError):
        await run()
    assert pids
    assert not any(map(alive, pids))


async def test_a_cancelled_run_ends_every_process_and_even_a_frozen_one(sleepers: Fleet) -> None:
    ready: asyncio.Future[list[Member]] = asyncio.get_running_loop().create_future()

    async def run() -> None:
        async with sleepers:
            members = await everybody(sleepers)
            members[0].process.send_signal(signal.SIGSTOP)
            ready.set_result(members)
            await asyncio.Event().wait()

    running = asyncio.create_task(run())
    pids = [member.pid for member in await ready]
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not any(map(alive, pids))


async def test_a_killed_process_is_started_again(folder: Path, sleepers: Fleet) -> None:
    async with sleepers:
        victim, survivor = await everybody(sleepers)
        await sleepers.kill(victim)
        assert not alive(victim.pid)
        again = await everybody(sleepers)
        assert survivor in again
        assert victim not in again
    events = read_history(folder / "history")
    fault = next(e for e in events if isinstance(e, FaultInjected))
    end = next(e for e in events if isinstance(e, ProcessEnded))
    assert (fault.kind, fault.victim, end.child) == ("kill", victim.pid, victim.pid)
    assert fault.at <= end.at


async def test_a_stopped_process_goes_on(sleepers: Fleet) -> None:
    async def is_frozen() -> bool:
        return frozen(victim)

    async def goes_on() -> bool:
        return not frozen(victim)

    async with sleepers:
        victim = (await everybody(sleepers))[0]
        stopping = asyncio.create_task(sleepers.stop(victim, seconds=0.3))
        await until(is_frozen, within=5, what="frozen")
        await stopping
        await until(goes_on, within=5, what="thawed")
        assert alive(victim.pid)


async def test_a_process_killed_while_stopped_is_left_at_that(sleepers: Fleet) -> None:
    async with sleepers:
        victim = (await everybody(sleepers))[0]
        stopping = asyncio.create_task(sleepers.stop(victim, seconds=0.2))
        await asyncio.sleep(0)
        await sleepers.kill(victim)
        await stopping
        assert len(await everybody(sleepers)) == 2


async def test_a_process_that_returns_has_finished(folder: Path, history: History) -> None:
    async with Fleet([FINISHER, SLEEPER], history, folder / "output") as fleet:
        await asyncio.wait_for(fleet.finished("finisher"), 10)
        assert fleet.members("finisher") == []
    started = Counter(
        e.role for e in read_history(folder / "history") if isinstance(e, ProcessStarted)
    )
    assert started["finisher"] == 1


async def test_a_process_that_fails_stops_the_run_and_shows_what_it_printed(
    folder: Path, history: History
) -> None:
    fleet = Fleet([FAILER, SLEEPER], history, folder / "output")
    failure = pytest.RaisesExc(ProcessFailed, match="(?s)failer.*status 1.*no ledger at that")

    async def run() -> None:
        async with fleet:
            await asyncio.Event().wait()

    with pytest.RaisesGroup(failure):
        await asyncio.wait_for(run(), 10)
    assert fleet.members() == []


async def nothing(_fleet: Fleet, _draw: int) -> None:
    pass


FAULTS = [Fault("often", 9, nothing), Fault("rarely", 1, nothing)]


def test_a_plan_is_drawn_from_its_seed() -> None:
    planned = plan(7, FAULTS, seconds=100, mean_gap=0.1)
    assert planned == plan(7, FAULTS, seconds=100, mean_gap=0.1)
    assert planned != plan(8, FAULTS, seconds=100, mean_gap=0.1)


def test_a_plan_keeps_its_bounds_gap_and_weights() -> None:
    planned = plan(7, FAULTS, seconds=100, mean_gap=0.1)
    assert 850 < len(planned) < 1150
    assert all(0 < step.at < 100 for step in planned)
    assert [step.at for step in planned] == sorted(step.at for step in planned)
    assert 0.85 < Counter(step.fault.name for step in planned)["often"] / len(planned) < 0.95


async def test_a_run_strikes_as_planned_and_counts(folder: Path, sleepers: Fleet) -> None:
    cuts = asyncio.Event()

    async def cut() -> None:
        cuts.set()

    faults = [kill("sleeper", weight=3), stop("sleeper", seconds=0.1), call("cut", cut)]
    planned = plan(3, faults, seconds=1.5, mean_gap=0.1)
    async with asyncio.timeout(20), sleepers:
        counts = await carry_out(sleepers, planned)
        await everybody(sleepers)
    assert counts == Counter(step.fault.name for step in planned)
    assert min(counts["kill sleeper"], counts["stop sleeper"], counts["cut"]) > 0
    assert cuts.is_set()
    written = Counter(
        e.kind for e in read_history(folder / "history") if isinstance(e, FaultInjected)
    )
    assert written == {
        "kill": counts["kill sleeper"],
        "stop": counts["stop sleeper"],
        "cut": counts["cut"],
    }


async def test_until_waits_for_its_condition() -> None:
    answers = iter([False, False, True])

    async def condition() -> bool:
        return next(answers)

    await until(condition, within=5, what="third time lucky")
    assert list(answers) == []


async def test_until_says_what_did_not_come() -> None:
    async def never() -> bool:
        return False

    with pytest.raises(TimeoutError, match="all jobs terminal: not within"):
        await until(never, within=0.05, what="all jobs terminal")
