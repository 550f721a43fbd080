"""A run: a server, the measurements in turn, the report."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from headrace.bench.loop import loop_name, run
from headrace.bench.machine import describe_machine
from headrace.bench.options import Options
from headrace.bench.report import Facts, as_json, as_table
from headrace.bench.rounds import measure_all
from headrace.embedded import EmbeddedPostgres, EmbeddedValkey

_FOLDER = Path(".headrace/bench/postgres")


def main(options: Options) -> None:
    """Measure, with progress on standard error, and print the report.

    Raises:
        HeadraceError: no server could be started or reached.
    """
    facts = describe_machine()
    with _postgres(options) as url, _valkey() as redis_url:
        results, version = run(measure_all(url, redis_url, options))
    facts = {**facts, **_settings(options), "postgresql": version}
    show = as_json if options.json else as_table
    sys.stdout.write(show(results, facts) + "\n")


@contextmanager
def _postgres(options: Options) -> Iterator[str]:
    if options.database_url is not None:
        yield options.database_url
        return
    with EmbeddedPostgres(_FOLDER) as server:
        yield server.url


@contextmanager
def _valkey() -> Iterator[str]:
    # Never one that the environment names: the lane is emptied again and again.
    os.environ.pop("HEADRACE_REDIS_URL", None)
    with TemporaryDirectory() as folder, EmbeddedValkey(Path(folder) / "valkey") as server:
        yield server.url


def _settings(options: Options) -> Facts:
    return {
        "event_loop": loop_name(),
        "jobs": options.jobs,
        "concurrency": options.concurrency,
        "repetitions": options.repetitions,
        "lease_seconds": options.lease,
    }
