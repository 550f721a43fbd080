"""The gate of rate limits where the ledger does not do as it is asked."""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from uuid import uuid4

import pytest

from headrace.engines.memory.unlimited import NoSeats
from headrace.errors import LedgerError, LedgerUnavailable
from headrace.model.job import Delivery
from headrace.model.rate import Admission, Ask, LimitSeen, Rate, RateLimit, Use, WindowSeen
from headrace.worker.gate import Gate

SCARCE = RateLimit("scarce", "1/s")


class Limiter:
    """Raises what it has to, one after the other, and then admits all."""

    def __init__(self, *errors: LedgerError) -> None:
        self.errors = list(errors)
        self.rested: list[Use] = []
        self.seats = NoSeats()

    def _fail(self) -> None:
        if self.errors:
            raise self.errors.pop(0)

    async def declare(self, limits: Iterable[RateLimit]) -> None:
        raise NotImplementedError

    async def bound(self, depths: Mapping[str, int]) -> None:
        raise NotImplementedError

    async def admit(self, asks: Sequence[Ask]) -> list[Admission]:
        self._fail()
        return [Admission(put_off=False, wait=0.0) for _ in asks]

    async def rest(self, uses: Sequence[Use], duration: timedelta) -> None:  # noqa: ARG002 - as in the port
        self._fail()
        self.rested += uses

    async def limits(self) -> list[LimitSeen]:
        raise NotImplementedError

    async def limit(self, name: str, key: str | None = None) -> tuple[LimitSeen, list[WindowSeen]]:
        raise NotImplementedError

    async def set(self, name: str, rates: Sequence[Rate]) -> int:
        raise NotImplementedError

    async def delete(self, name: str) -> int:
        raise NotImplementedError


def gate_before(limiter: Limiter) -> Gate:
    return Gate(lambda: limiter, {}, {"q": (SCARCE,)})


def delivery() -> Delivery:
    return Delivery(
        id=uuid4(),
        gen=1,
        queue="q",
        task="work",
        payload=b"{}",
        priority=5,
        failures=0,
        crashes=0,
        max_attempts=3,
        call=1,
    )


async def test_what_nobody_can_decide_is_given_back(caplog: pytest.LogCaptureFixture) -> None:
    gate = gate_before(Limiter(LedgerError("broken")))
    answers = await asyncio.gather(*(gate.admits(delivery()) for _ in range(3)))
    assert answers == [None] * 3
    assert "3 jobs under rate limits are given back: broken" in caplog.text
    later = await gate.admits(delivery())
    assert later is not None


async def test_a_ledger_that_is_away_is_waited_for() -> None:
    limiter = Limiter(LedgerUnavailable("away"), LedgerUnavailable("still away"))
    answer = await gate_before(limiter).admits(delivery())
    assert answer is not None
    assert not answer.put_off


async def test_nobody_waits_for_it_in_a_worker_that_stops() -> None:
    gate = gate_before(Limiter(*[LedgerUnavailable("away")] * 1000))
    waiting = asyncio.create_task(gate.admits(delivery()))
    await asyncio.sleep(0)
    await gate.close()
    assert await waiting is None
    assert await gate.admits(delivery()) is None


async def test_limits_that_cannot_rest_harm_nobody(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    limiter = Limiter(LedgerError("broken"))
    gate = gate_before(limiter)
    await gate.rest(delivery(), "", timedelta(seconds=1))
    assert "do not rest: broken" in caplog.text
    await gate.rest(delivery(), "", timedelta(seconds=1))
    assert [use.limit for use in limiter.rested] == ["scarce"]
