"""A small run of the benchmark of growth: it measures what it says and leaves its files."""

import json
from pathlib import Path

import pytest

from benchmarks.growth import measure
from benchmarks.growth.__main__ import measure_all, write
from benchmarks.growth.plan import HISTORY, MODES, QUEUES, Plan, Point
from servers import copy_postgres, postgres_template

PLAN = Plan("small", jobs=200, jobs_a_queue=1, idle=0.2, sizes={QUEUES: (1, 3), HISTORY: (0, 700)})


async def test_a_small_run_measures_each_point_once_and_leaves_its_files(
    shared_directory: Path,
    server_directory: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(measure, "_SETTLED", 0.2)
    monkeypatch.setenv("HEADRACE_LEASE", "1s")  # a point begins with the first beat of its workers
    copy_postgres(postgres_template(shared_directory), server_directory)
    report = await measure_all(PLAN, MODES, server_directory, "make bench-growth")
    assert report.failed == {}
    assert report.found.keys() == set(PLAN.points(MODES))
    assert all(figures["jobs"] == 200 for figures in report.found.values())
    nothing = Point("direct", HISTORY, 0)
    assert report.found[nothing] is report.found[nothing.base]
    write(report, tmp_path)
    document = json.loads((tmp_path / "growth.json").read_text())
    assert len(document["points"]) == len(report.found)
    assert "| hybrid, 700" in (tmp_path / "growth.md").read_text()
