"""One small run of the whole harness, with headrace as the only peer that works."""

import sys
from dataclasses import replace
from pathlib import Path

from benchmarks.peers.catalogue import DRIVERS, read_catalogue
from benchmarks.peers.environments import Environment
from benchmarks.peers.outputs import write_outputs
from benchmarks.peers.plan import QUICK
from benchmarks.peers.progress import Progress
from benchmarks.peers.run import Run
from servers import copy_postgres, postgres_template

PLAN = replace(
    QUICK, enqueue=0.05, fill=0.2, drain=0.2, latency_jobs=5, backlogs=(400,), prefill=20.0
)


async def test_a_quick_run_leaves_its_files_and_goes_on_without_a_broken_peer(
    shared_directory: Path, server_directory: Path, tmp_path: Path
) -> None:
    copy_postgres(postgres_template(shared_directory), server_directory / "servers")
    catalogue = read_catalogue()
    peers = catalogue.only(["headrace-direct", "huey"])
    # Here headrace is installed already.
    driver = str(DRIVERS / "headrace.py")
    variables = {"PYTHONPATH": str(DRIVERS / "shared")}
    ready = {
        "headrace-direct": Environment((sys.executable, "-P", driver), variables, {}),
        "huey": Environment((sys.executable, "-c", "raise SystemExit('not here')"), {}, {}),
    }
    run = Run(PLAN, peers, catalogue.node, server_directory, Progress(), ready=ready)
    await run.measure()
    left_out = run.results.failures.pop("huey")
    assert left_out == {"installation": "the driver ended while it did facts: not here"}
    assert run.results.failures == {}
    measured = run.results.samples["headrace-direct"]
    expected = {"enqueue_single", "enqueue_concurrent", "enqueue_bulk", "drain_1", "latency_p99"}
    assert expected | {"backlog_400", "postgres_bytes"} <= measured.keys()
    assert all(value > 0 for name in expected for value in measured[name])
    written = write_outputs(run.report(), tmp_path)
    assert {"peers.json", "peers.md"} <= {path.name for path in written}
    assert "headrace, direct" in (tmp_path / "peers.md").read_text()
