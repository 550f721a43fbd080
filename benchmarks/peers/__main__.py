"""`python -m benchmarks.peers`: measure headrace beside its peers, and write the tables."""

import argparse
import asyncio
import signal
import sys
from dataclasses import replace
from pathlib import Path

from benchmarks.peers.catalogue import CHECKOUT, read_catalogue
from benchmarks.peers.outputs import write_outputs
from benchmarks.peers.plan import DEFAULT, FULL, QUICK
from benchmarks.peers.progress import Progress
from benchmarks.peers.run import Run

SCRATCH = CHECKOUT / ".headrace" / "peers"
OUTPUT = CHECKOUT / "docs" / "benchmarks"


def arguments(given: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.peers", description=__doc__)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these peers alone")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="minutes: to see it run, not to quote")
    size.add_argument("--full", action="store_true", help="hours: longer windows, all backlogs")
    parser.add_argument("--output", type=Path, default=None, help="folder of the results")
    parser.add_argument("--scratch", type=Path, default=SCRATCH, help="folder of environments")
    parser.add_argument("--no-recovery", action="store_true", help="leave out kill -9")
    return parser.parse_args(given)


async def main(given: argparse.Namespace) -> tuple[Run, bool]:
    """Measure; what was found out, and whether nobody cut it off."""
    catalogue = read_catalogue()
    plan = QUICK if given.quick else FULL if given.full else DEFAULT
    if given.no_recovery:
        plan = replace(plan, recovery=0.0)
    given.scratch.mkdir(parents=True, exist_ok=True)
    run = Run(plan, catalogue.only(given.only), catalogue.node, given.scratch, Progress())
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with run.progress.shown():
        try:
            await run.measure()
        except asyncio.CancelledError:  # by Ctrl-C or SIGTERM: what was measured is still told
            return run, False
    return run, True


if __name__ == "__main__":
    wanted = arguments(sys.argv[1:])
    finished, to_its_end = asyncio.run(main(wanted))
    # A quick or partial run shows that it works; the documentation holds whole ones.
    whole = to_its_end and not wanted.quick and not wanted.only
    folder = wanted.output or (OUTPUT if whole else wanted.scratch / "results")
    for written in write_outputs(finished.report(), folder):
        print(written)
    sys.exit(0 if to_its_end else 130)
