"""What the example needs around it: servers, and the workers, which are commands of headrace."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from headrace.contrib import presets
from headrace.embedded import Stack
from storefront.pictures import draw
from storefront.shop import app

_HERE = Path(__file__).parents[1]


@contextmanager
def servers(folder: Path) -> Iterator[str]:
    """The URL of a migrated PostgreSQL: a new one, with a Valkey, if the environment names none."""
    if url := os.environ.get("HEADRACE_DATABASE_URL"):
        _headrace("migrate").wait()
        yield url
        return
    with Stack(folder) as stack:
        os.environ["HEADRACE_DATABASE_URL"] = stack.database_url
        os.environ["HEADRACE_REDIS_URL"] = stack.redis_url
        _headrace("migrate").wait()
        yield stack.database_url


@contextmanager
def workers() -> Iterator[Sequence[subprocess.Popen[bytes]]]:
    """Two processes of `headrace worker`, which drain in the end; one of them draws, too."""
    all_but_pictures = [
        f"--queue={name}:{presets.CONCURRENCY}" for name in app.queues - {draw.queue}
    ]
    options = ("worker", "storefront:app", "--log-level=error", *all_but_pictures)
    started = [_headrace(*options), _headrace(*options, f"--queue={draw.queue}:1")]
    try:
        yield started
    finally:
        for worker in started:
            worker.terminate()
        for worker in started:
            worker.wait()


def _headrace(*arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "headrace", *arguments]
    return subprocess.Popen(command, cwd=_HERE, stdout=subprocess.DEVNULL)
