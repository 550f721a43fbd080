"""Where chaos runs happen."""

from pathlib import Path

import pytest

from chaos.site import Mode, Site


@pytest.fixture(params=list(Mode))
async def site(request: pytest.FixtureRequest, tmp_path: Path, migrated_url: str) -> Site:
    """A run's surroundings on the servers of the test process, once for each mode."""
    redis_url = request.getfixturevalue("redis_url") if request.param is Mode.HYBRID else None
    site = Site(tmp_path, migrated_url, redis_url)
    await site.prepare()
    return site
