"""Programs of the system that some tests need and no wheel brings."""

import os
import shutil

import pytest


def program(name: str, package: str) -> str:
    """The path of a program of a Debian package.

    Without it the test is skipped; where CI is set it fails, so that nothing goes untested there.
    """
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is not None:
        return found
    missing = f"{name} is not installed; apt-get install {package} brings it"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)
