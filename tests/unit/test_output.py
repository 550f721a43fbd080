"""Tables of the command line, on wide terminals, narrow ones and pipes."""

import os
import pty
import sys
import threading

import pytest

from headrace.cli.output import noting_if_it_lasts, print_table

COLUMNS = ("id", "task", "state", "error")
ROWS = [("0" * 36, "send_email", "dead", "x" * 200), ("1" * 36, "pack", "completed", "")]


def shown(monkeypatch: pytest.MonkeyPatch, width: int) -> list[str]:
    """What a terminal of that width shows, lines as they were written."""
    ours, theirs = pty.openpty()
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        print_table(COLUMNS, ROWS)
        terminal.flush()
        monkeypatch.undo()
        written = ""
        while written.count("\n") <= len(ROWS):  # a terminal gives what it has by now
            written += os.read(ours, 4000).decode()
    os.close(ours)
    return [line.replace("\x1b[1m", "").replace("\x1b[0m", "") for line in written.splitlines()]


@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_column_is_left_out(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    head, dead, done = shown(monkeypatch, width)
    assert head.split() == list(COLUMNS)
    assert dead.split()[:3] == ["0" * 36, "send_email", "dead"]
    assert dead.split()[3].endswith("x…")
    assert done.split() == ["1" * 36, "pack", "completed"]
    assert len(dead) == max(width, 36 + 10 + 9 + 3 * 2 + 20)


def test_a_pipe_gets_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(COLUMNS, ROWS)
    assert "x" * 200 in capsys.readouterr().out


def test_nothing_is_a_head_without_rows(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(COLUMNS, [])
    assert capsys.readouterr().out.split() == list(COLUMNS)


def test_what_lasts_is_noted_and_what_does_not_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    before = set(threading.enumerate())
    with noting_if_it_lasts("quick", seconds=600.0):
        pass
    told = ""
    with noting_if_it_lasts("slow", seconds=0.0):
        while not told:
            told = capsys.readouterr().err
    assert told == "slow\n"
    assert set(threading.enumerate()) <= before
