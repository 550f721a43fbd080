"""Where chaos runs happen."""

from dataclasses import replace
from pathlib import Path

import pytest

from chaos.drill import Size
from chaos.site import SHORT_LEASE, Mode, Site

SHORT = Size(rounds=1, jobs=60, lease=SHORT_LEASE, timed=False, split=3.0)
LONG = Size(rounds=5, jobs=1000, lease=None, timed=True, split=30.0)


@pytest.fixture(params=list(Mode))
async def site(request: pytest.FixtureRequest, tmp_path: Path, migrated_url: str) -> Site:
    """A run's surroundings on the servers of the test process, once for each mode."""
    redis_url = request.getfixturevalue("redis_url") if request.param is Mode.HYBRID else None
    site = Site(tmp_path, migrated_url, redis_url)
    await site.prepare()
    return site


@pytest.fixture
def size(request: pytest.FixtureRequest) -> Size:
    """How much of a failure drill is carried out: all of it at the defaults in the long run."""
    size = LONG if request.config.getoption("chaos_long") else SHORT
    return replace(size, results=request.config.getoption("drill_results"))
