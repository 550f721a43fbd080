"""A small disk of a server's own, that can be filled."""

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CHUNK = bytes(64 * 1024)


@contextmanager
def small_disk(directory: Path, megabytes: int) -> Iterator[Path]:
    """Mount a file system of this size; the test is skipped where that is not allowed."""
    directory.mkdir(mode=0o755)
    options = f"size={megabytes}m,mode=755"
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(directory)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"a disk can be filled only where root may mount one: {mounted.stderr.strip()}")
    try:
        yield directory
    finally:
        subprocess.run(["umount", str(directory)], check=True)


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    """Leave no room on a disk; on leaving there is room again."""
    ballast = disk / "ballast"
    try:
        with ballast.open("wb", buffering=0) as file:
            for chunk in (CHUNK, CHUNK[:1024]):
                _write_until_full(file.fileno(), chunk)
        yield
    finally:
        ballast.unlink()


def _write_until_full(file: int, chunk: bytes) -> None:
    while True:
        try:
            if os.write(file, chunk) < len(chunk):
                return
        except OSError as error:
            if error.errno == errno.ENOSPC:
                return
            raise
