"""`python -m benchmarks.budget`: where a job's microseconds go, written into docs/internals."""

import argparse
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from benchmarks.budget.budget import measure
from benchmarks.budget.tables import as_markdown
from headrace.bench.loop import run
from headrace.bench.machine import describe_machine
from headrace.embedded import EmbeddedPostgres, EmbeddedValkey

_CHECKOUT = Path(__file__).parents[2]
_SCRATCH = _CHECKOUT / ".headrace" / "budget"
_OUTPUT = _CHECKOUT / "docs" / "internals"
_ACCOUNTS = {"shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.track": "all"}


def main() -> None:
    """Measure, and write the tables."""
    parser = argparse.ArgumentParser(prog="benchmarks.budget", description=__doc__)
    parser.add_argument("--jobs", type=int, default=40_000, help="of each backlog")
    parser.add_argument("--rounds", type=int, default=3, help="medians count")
    parser.add_argument("--output", type=Path, default=_OUTPUT, help="folder of the results")
    given = parser.parse_args()
    facts = describe_machine() | {"jobs": given.jobs, "rounds": given.rounds}
    os.environ.pop("HEADRACE_REDIS_URL", None)  # never one that is in use: lanes are emptied
    with (
        EmbeddedPostgres(_SCRATCH / "postgres", settings=_ACCOUNTS) as postgres,
        TemporaryDirectory() as folder,
        EmbeddedValkey(Path(folder) / "valkey") as valkey,
    ):
        budgets = run(measure(postgres.url, valkey.url, jobs=given.jobs, rounds=given.rounds))
    given.output.mkdir(parents=True, exist_ok=True)
    everything = msgspec.json.encode({"facts": facts, "budgets": budgets})
    (given.output / "budget.json").write_bytes(msgspec.json.format(everything) + b"\n")
    text = as_markdown(budgets, facts)
    (given.output / "budget.md").write_text(text)
    sys.stdout.write(text)


main()
