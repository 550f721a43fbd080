"""Programs of the system that some tests need and no wheel brings."""

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest


def program(name: str, package: str) -> str:
    """The path of a program of a Debian package.

    Without it the test is skipped; where HEADRACE_TEST_ALL is set it fails, so that nothing goes
    untested where `.ci/run` has installed all of them.
    """
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    places = os.pathsep.join(["/usr/sbin", *map(str, versions)])
    found = shutil.which(name) or shutil.which(name, path=places)
    if found is None:
        missing(name, package)
    return found


def missing(name: str, package: str) -> NoReturn:
    """Skip the test for want of something, or fail it, as `program` does."""
    said = f"{name} is not installed; apt-get install {package} brings it"
    if os.environ.get("HEADRACE_TEST_ALL"):
        pytest.fail(said)
    pytest.skip(said)
