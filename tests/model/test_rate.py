"""No window of a limit is broken in any interleaving, and each rule is there for a reason."""

import pytest

from model.explorer import explore
from model.rate import HOLDS, RateModel, RateTwin


@pytest.mark.parametrize("most", [1, 2])
def test_no_interleaving_breaks_a_window(most: int) -> None:
    found = explore(RateModel(most=most), limit=100_000)
    assert found.broken == {}
    assert found.states > 500


@pytest.mark.parametrize("twin", RateTwin)
def test_a_twin_without_the_rule_is_found_out(twin: RateTwin) -> None:
    assert HOLDS in explore(RateModel(twin), limit=100_000, until=HOLDS).broken
