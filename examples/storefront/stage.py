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
_HEADRACE = (sys.executable, "-m", "headrace")


@contextmanager
def servers(folder: Path) -> Iterator[str]:
    """The URL of a migrated PostgreSQL: a new one, with a Valkey, if the environment names none."""
    if url := os.environ.get("HEADRACE_DATABASE_URL"):
        run("migrate")
        yield url
        return
    with Stack(folder) as stack:
        os.environ["HEADRACE_DATABASE_URL"] = stack.database_url
        os.environ["HEADRACE_REDIS_URL"] = stack.redis_url
        run("migrate")
        yield stack.database_url


@contextmanager
def workers(*, second: bool) -> Iterator[Sequence[subprocess.Popen[bytes]]]:
    """Processes of `headrace worker`, which drain in the end; one draws, one picture at a time."""
    all_but_pictures = [
        f"--queue={name}:{presets.CONCURRENCY}" for name in app.queues - {draw.queue}
    ]
    options = ("worker", "storefront:app", "--log-level=error", *all_but_pictures)
    started = [_start(*options, f"--queue={draw.queue}:1")]
    if second:
        started.append(_start(*options))
    try:
        yield started
    finally:
        for worker in started:
            worker.terminate()
        for worker in started:
            worker.wait()


def run(*arguments: str) -> None:
    """Run a command of headrace to its end, as an operator would type it.

    Raises:
        CalledProcessError: it failed, and has said why.
    """
    subprocess.run([*_HEADRACE, *arguments], cwd=_HERE, stdout=subprocess.DEVNULL, check=True)


def _start(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([*_HEADRACE, *arguments], cwd=_HERE, stdout=subprocess.DEVNULL)
