"""The conformance suite of caches: every rule of `ports/cache.py` as a test.

Derive a test class from `CacheConformance` and give it a fixture `rig`:

    class TestMyStore(CacheConformance):
        @pytest.fixture
        async def rig(self) -> AsyncIterator[Rig]: ...
"""

from headrace.testing.caches.claims import Claims
from headrace.testing.caches.rig import Rig
from headrace.testing.caches.values import Values

__all__ = ["CacheConformance", "Rig"]


class CacheConformance(Values, Claims):
    """All rules."""
