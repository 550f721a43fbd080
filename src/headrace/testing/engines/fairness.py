"""Fair shares: counted by the order of starts, whatever the parts of a queue have waiting."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from headrace.model.concurrency import LinesSaid
from headrace.model.fair_share import FairShare
from headrace.model.state import State
from headrace.testing.engines.rig import QUEUE, Rig

_WINDOW = 4


class Fairness:
    """Tests of fair shares, in both modes."""

    async def test_a_newcomer_waits_for_a_window_not_for_all(self, rig: Rig) -> None:
        await _share(rig)
        await _insert(rig, "a", 60)
        assert await _starts(rig, 6) == "aaaaaa"
        await _insert(rig, "b", 10)
        starts = await _starts(rig, 24)
        assert starts.index("b") <= _WINDOW
        assert abs(Counter(starts)["a"] - 14) <= _WINDOW, "b's ten are done by then"
        assert Counter(starts)["b"] == 10

    async def test_many_parts_get_the_same(self, rig: Rig) -> None:
        await _share(rig)
        await _insert(rig, "a", 100)
        for part in "bcd":
            await _insert(rig, part, 20)
        starts = Counter(await _starts(rig, 64))
        assert all(abs(starts[part] - 16) <= _WINDOW for part in "abcd"), starts

    async def test_shares_follow_the_weights(self, rig: Rig) -> None:
        await _share(rig, {"a": 3})
        await _insert(rig, "b", 60)
        await _insert(rig, "a", 60)
        await _starts(rig, 16)
        starts = Counter(await _starts(rig, 48))
        assert abs(starts["a"] - 36) <= _WINDOW

    async def test_an_operator_changes_a_weight(self, rig: Rig) -> None:
        await _share(rig, {"a": 3})
        seats = rig.engine.limiter.seats
        await seats.set("fair:mail", 2, "b")
        await _share(rig, {"a": 1, "b": 1})
        _, lines = await seats.limit("fair:mail")
        assert {one.key: one.width for one in lines} == {"a": _WINDOW, "b": 2 * _WINDOW}
        await _insert(rig, "a", 60)
        await _insert(rig, "b", 60)
        await _starts(rig, 12)
        starts = Counter(await _starts(rig, 36))
        assert abs(starts["b"] - 24) <= _WINDOW
        await _share(rig, {})
        _, lines = await seats.limit("fair:mail", "a")
        assert [one.width for one in lines] == [_WINDOW]

    async def test_nobody_waits_behind_jobs_of_his_own_that_are_less_urgent(self, rig: Rig) -> None:
        await _share(rig)
        await _insert(rig, "a", 20, priority=7)
        await rig.engine.unblock()  # type: ignore[attr-defined] # of engines with a ledger
        await _insert(rig, "a", 1, priority=1)
        assert await _starts(rig, 1, of="level") == "1"

    async def test_by_tenant(self, rig: Rig) -> None:
        await _share(rig, by="tenant")
        await rig.engine.insert([rig.job(tenant="one") for _ in range(9)])
        await rig.engine.insert([rig.job(tenant="two") for _ in range(2)])
        await rig.engine.unblock()  # type: ignore[attr-defined] # of engines with a ledger
        _, lines = await rig.engine.limiter.seats.limit("fair:mail")
        assert [(one.key, one.taken, one.standing) for one in lines] == [
            ("one", _WINDOW, 5),
            ("two", 2, 0),
        ]

    async def test_other_queues_are_not_shared(self, rig: Rig) -> None:
        await _share(rig)
        ids = await rig.insert(9, queue="other")
        assert {(await rig.get(one)).state for one in ids} == {State.AVAILABLE}


async def _share(rig: Rig, weights: Mapping[str, int] | None = None, by: str = "{to}") -> None:
    share = FairShare(QUEUE, by, weights or {})
    await rig.engine.limiter.seats.declare(
        LinesSaid(
            limits={share.limit: _WINDOW},
            queues=(QUEUE,),
            rules=(share.rule,),
            weights={share.limit: share.weights},
        )
    )


async def _insert(rig: Rig, part: str, n: int, **fields: Any) -> None:  # noqa: ANN401 - as in Rig.job
    payload = b'{"to": "%s"}' % part.encode()
    await rig.engine.insert([rig.job(payload=payload, **fields) for _ in range(n)])


async def _starts(rig: Rig, n: int, of: str = "part") -> str:
    """The parts, or levels, of the next jobs that start, one slot, one after the other."""
    started = ""
    for _ in range(n):
        await rig.engine.unblock()  # type: ignore[attr-defined] # of engines with a ledger
        (one,) = await rig.take(1)
        started += str(one.priority) if of == "level" else one.payload.decode()[-3]
        await rig.complete([one])
    return started
