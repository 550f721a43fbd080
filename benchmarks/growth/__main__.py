"""`python -m benchmarks.growth`: what a job costs as things grow; writes tables and a plot."""

import argparse
import asyncio
import os
import signal
import sys
import time
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from benchmarks.growth.measure import measure
from benchmarks.growth.plan import DEFAULT, FULL, MODES, QUICK, Plan
from benchmarks.growth.report import Report
from benchmarks.growth.servers import running_servers
from headrace.bench.machine import describe_machine

_CHECKOUT = Path(__file__).parents[2]
_SCRATCH = _CHECKOUT / ".headrace" / "growth"
_OUTPUT = _CHECKOUT / "docs" / "benchmarks" / "growth"


def arguments(given: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.growth", description=__doc__)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="a minute: to see it run, not to quote")
    size.add_argument("--full", action="store_true", help="with 10 million finished jobs: 10 GB")
    parser.add_argument("--only", nargs="+", choices=tuple(DEFAULT.sizes), help="these dimensions")
    parser.add_argument("--mode", choices=MODES, help="this one alone")
    parser.add_argument("--output", type=Path, help="folder of the results")
    parser.add_argument("--scratch", type=Path, default=_SCRATCH, help="folder of the servers")
    return parser.parse_args(given)


def plan_of(given: argparse.Namespace) -> Plan:
    """The plan that the command line asks for."""
    plan = QUICK if given.quick else FULL if given.full else DEFAULT
    sizes = {
        name: sizes for name, sizes in plan.sizes.items() if name in (given.only or plan.sizes)
    }
    return Plan(plan.name, plan.jobs, plan.jobs_a_queue, plan.idle, sizes)


async def measure_all(plan: Plan, modes: tuple[str, ...], scratch: Path, command: str) -> Report:
    """All points; one that fails is told and the others go on."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    machine, began = describe_machine(), time.monotonic()
    facts = {"command": command, "date": datetime.now(UTC).date().isoformat(), **machine}
    report = Report(plan, facts)
    console = Console(stderr=True)
    points = list(plan.points(modes))
    async with running_servers(scratch) as servers:
        facts |= servers.versions
        with Progress(console=console, disable=not console.is_terminal) as bars:
            bar = bars.add_task("", total=len(points))
            for point in points:
                what = f"{point.mode}, {point.size:,} {point.dimension}"
                bars.update(bar, description=what)
                try:
                    known = report.found.get(point.base)
                    report.found[point] = known or await measure(servers, plan, point.base)
                except (RuntimeError, TimeoutError) as exc:
                    report.failed[point] = str(exc) or "it took too long"
                except asyncio.CancelledError:  # by Ctrl-C or SIGTERM: what was measured is told
                    report.failed[point] = "the run was cut off here"
                    break
                bars.advance(bar)
                if not console.is_terminal:
                    console.print(what, report.failed.get(point, ""), highlight=False)
    facts["load_after"] = round(os.getloadavg()[0], 2)
    facts["minutes"] = round((time.monotonic() - began) / 60, 1)
    return report


def write(report: Report, folder: Path) -> None:
    """Leave the files in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    plots: list[str] = []
    if find_spec("matplotlib") is not None:
        from benchmarks.growth.plots import write_plot  # noqa: PLC0415 - of its own group

        plots = [write_plot(report, folder)]
    (folder / "growth.json").write_text(report.as_json())
    (folder / "growth.md").write_text(report.as_markdown(plots))


def main() -> int:
    """Measure and write; 1 where a point has no figure."""
    given = arguments(sys.argv[1:])
    given.scratch.mkdir(parents=True, exist_ok=True)
    modes = (given.mode,) if given.mode else MODES
    command = " ".join(["python -m benchmarks.growth", *sys.argv[1:]])
    report = asyncio.run(measure_all(plan_of(given), modes, given.scratch, command))
    # A quick or partial run shows that it works; the documentation holds whole ones.
    whole = not (given.quick or given.only or given.mode)
    folder = given.output or (_OUTPUT if whole else given.scratch / "results")
    write(report, folder)
    print((folder / "growth.md").read_text())
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
