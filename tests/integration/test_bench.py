import asyncio
import os
import pty
import sys

import msgspec
import pytest

from headrace.bench.figures import DIRECT, ENQUEUE, HYBRID, LIMITS, mode_figures
from headrace.bench.progress import progress


async def test_a_quick_run_measures_every_figure(postgres_url: str) -> None:
    command = [sys.executable, "-m", "headrace", "bench", "--quick", "--json"]
    process = await asyncio.create_subprocess_exec(
        *command, "--database-url", postgres_url, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0
    report = msgspec.json.decode(printed)
    figures = report["figures"]
    assert figures.keys() == (LIMITS | ENQUEUE | mode_figures(DIRECT) | mode_figures(HYBRID)).keys()
    for figure in figures.values():
        assert figure["low"] > 0
        assert figure["low"] <= figure["median"] <= figure["high"]
        assert (figure["ratio"] is None) == (figure["limit"] is None)
    assert {"processor", "cores", "python", "postgresql", "event_loop"} <= report["run"].keys()


def test_progress_is_lines_where_nobody_looks(capfd: pytest.CaptureFixture[str]) -> None:
    with progress(2) as tell:
        tell("round 1 of 1: enqueue [one] " + "x" * 100)
        tell("round last: latency")
    lines = capfd.readouterr().err.splitlines()
    assert lines == ["round 1 of 1: enqueue [one] " + "x" * 100, "round last: latency"]


def test_progress_is_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setenv("TERM", "xterm")
        with progress(2) as tell:
            tell("enqueue")
            tell("latency")
        terminal.flush()
        shown = ""
        while "2/2" not in shown:  # a terminal gives what it has, and keeps the rest
            shown += os.read(ours, 4096).decode()
    os.close(ours)
    assert [one for one in ("0/2", "1/2", "2/2") if one in shown] == ["0/2", "1/2", "2/2"]
    assert shown.index("enqueue") < shown.index("latency")
    assert "\x1b[" in shown
