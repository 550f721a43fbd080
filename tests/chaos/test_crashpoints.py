import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from chaos.crashpoints import CrashPoint, When, armed, crash_at, parse_crash_points
from chaos.events import CrashPointReached
from chaos.history import History, read_history

POINT = CrashPoint("ledger", "settle", When.AFTER, 3)

CHILD = """
import asyncio, sys
from pathlib import Path
from chaos.crashpoints import armed, crash_points_of_this_process
from chaos.history import History

class Ledger:
    async def settle(self, number):
        await asyncio.sleep(0)
        print("settled", number, flush=True)
        return number

    def close(self):
        print("closed", flush=True)

async def main():
    with History(Path(sys.argv[1])) as history:
        ledger = armed("ledger", Ledger(), crash_points_of_this_process(), history)
        for number in (1, 2, 3):
            print("calling", await ledger.settle(number), flush=True)
        ledger.close()
        print("survived", flush=True)

asyncio.run(main())
"""


class Ledger:
    def __init__(self) -> None:
        self.batch = 500

    async def settle(self, number: int, *, twice: bool = False) -> int:
        await asyncio.sleep(0)
        return number * (1 + twice)

    def close(self) -> str:
        return f"closed {self.batch}"


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path)


def run_child(folder: Path, points: str) -> tuple[int, list[str], list[str]]:
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(folder)],
        env={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[1]),
            "HEADRACE_CHAOS_CRASH": points,
        },
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert child.stderr == ""
    reached = [e.name for e in read_history(folder) if isinstance(e, CrashPointReached)]
    return child.returncode, child.stdout.splitlines(), reached


@pytest.mark.parametrize(
    ("points", "printed", "reached"),
    [
        ("ledger.settle:before:1", [], "ledger.settle:before"),
        ("ledger.settle:after:1", ["settled 1"], "ledger.settle:after"),
        (
            "ledger.settle:before:2",
            ["settled 1", "calling 1"],
            "ledger.settle:before",
        ),
        (
            "lane.take:after:1, ledger.close:after:1",
            [
                "settled 1",
                "calling 1",
                "settled 2",
                "calling 2",
                "settled 3",
                "calling 3",
                "closed",
            ],
            "ledger.close:after",
        ),
        (
            "ledger.close:before:1,ledger.settle:after:3",
            ["settled 1", "calling 1", "settled 2", "calling 2", "settled 3"],
            "ledger.settle:after",
        ),
    ],
)
def test_the_process_dies_at_the_point_and_the_history_names_it(
    tmp_path: Path, points: str, printed: list[str], reached: str
) -> None:
    assert run_child(tmp_path, points) == (-signal.SIGKILL, printed, [reached])


def test_a_process_without_points_lives(tmp_path: Path) -> None:
    status, printed, reached = run_child(tmp_path, "")
    assert (status, printed[-1], reached) == (0, "survived", [])


async def test_a_wrapped_object_is_otherwise_the_same(history: History) -> None:
    with history:
        ledger = Ledger()
        wrapped = crash_at(ledger, POINT, history)
        assert await wrapped.settle(2, twice=True) == 4
        wrapped.batch = 100
        assert ledger.batch == 100
        assert wrapped.close() == "closed 100"


def test_points_of_other_targets_leave_an_object_alone(history: History) -> None:
    with history:
        ledger = Ledger()
        assert armed("lane", ledger, [POINT], history) is ledger


def test_a_method_that_is_not_there_is_refused(history: History) -> None:
    with history, pytest.raises(AttributeError, match="misspelt"):
        crash_at(Ledger(), CrashPoint("ledger", "misspelt", When.BEFORE, 1), history)


def test_points_are_spelt_target_method_when_nth() -> None:
    assert parse_crash_points("") == ()
    assert parse_crash_points("ledger.settle:after:3, lane.take:before:12") == (
        POINT,
        CrashPoint("lane", "take", When.BEFORE, 12),
    )
    assert POINT.name == "ledger.settle:after"


@pytest.mark.parametrize(
    "text", ["ledger", "ledger.settle", "ledger.settle:during:1", "ledger.settle:after:0"]
)
def test_a_misspelt_point_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="spell it target"):
        parse_crash_points(text)
