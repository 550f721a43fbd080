import asyncio
import sys

import msgspec

from headrace.bench.figures import DIRECT, ENQUEUE, HYBRID, LIMITS, mode_figures


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
