from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from headrace.model.priority import LEVELS, STRIDES, WEIGHTS, Shares


def take(shares: Shares, waiting: dict[int, int], n: int) -> list[int]:
    """What claim.sql does: rank k of a level sorts at pass + k * stride; the first n win."""
    ranks = [
        (passed + k * stride, level)
        for level, passed, stride in zip(LEVELS, shares.passes(), STRIDES, strict=True)
        for k in range(1, min(waiting.get(level, 0), n) + 1)
    ]
    taken = [level for _, level in sorted(ranks)[:n]]
    shares.took(taken)
    return taken


@given(
    busy=st.sets(st.sampled_from(LEVELS), min_size=1),
    batches=st.lists(st.integers(1, 40), min_size=10, max_size=60),
)
def test_each_level_with_work_gets_its_share_of_any_hundred_takes(
    busy: set[int], batches: list[int]
) -> None:
    shares = Shares()
    waiting = dict.fromkeys(busy, 10**6)
    order = [level for n in batches for level in take(shares, waiting, n)]
    total = sum(WEIGHTS[level] for level in busy)
    for start in range(0, len(order) - 99, 7):
        window = Counter(order[start : start + 100])
        for level in busy:
            share = int(100 * WEIGHTS[level] / total)
            # Inside one batch the order is by priority, so a window may cut a batch in two.
            assert window[level] >= share - max(batches) * WEIGHTS[level] / total - 1


def test_a_level_that_wakes_gets_its_share_and_no_more() -> None:
    shares = Shares()
    for _ in range(50):
        take(shares, {5: 10**6}, 20)
    window = Counter(level for _ in range(10) for level in take(shares, {5: 10**6, 10: 10**6}, 10))
    assert 15 <= window[10] <= 25  # one of five


def test_one_at_a_time_starves_nobody() -> None:
    shares = Shares()
    order = [take(shares, dict.fromkeys(LEVELS, 10**6), 1)[0] for _ in range(200)]
    first, second = Counter(order[:100]), Counter(order[100:])
    total = sum(WEIGHTS.values())
    for level in LEVELS:
        # Stride scheduling is off its exact share by one job at most.
        assert 1 + min(first[level], second[level]) >= int(100 * WEIGHTS[level] / total)
