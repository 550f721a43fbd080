"""Where chaos runs happen."""

from pathlib import Path

import pytest

from chaos.site import Mode, Site


@pytest.fixture(params=list(Mode))
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    """A run's surroundings on the servers of the test process, once for each mode."""
    assert request.param is Mode.DIRECT  # the only one so far
    site = Site(tmp_path, request.getfixturevalue("database_url"))
    await site.prepare()
    return site
