"""The lane checked against the ledger, while both are in use.

Whatever moves looks wrong for a moment to somebody who reads one thing after the other. So what
looks wrong is looked at again and again, for as long as repair by itself may take; what stays wrong
is a breach.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from itertools import islice
from typing import TypeVar

from headrace.errors import LaneError, WrongEpoch
from headrace.model.check import Breach, Check, Verdict
from headrace.model.entry import Ended
from headrace.model.lane_view import Mode
from headrace.ports.census import Census, Record
from headrace.ports.clock import boottime
from headrace.ports.lane_ledger import LaneLedger, Token

K = TypeVar("K")

EPOCH = Check("lane epoch", "The lane is at the ledger's epoch, in this life of its server.")
ENTRIES = Check(
    "lane entries", "What the lane carries is a live job, at its generation.", repair="drop"
)
PLACES = Check(
    "lane places", "What the lane carries is in one place: ready, delayed or leased, and once."
)
_LOOKS = 20
_MOST = 1000
_SHOW = 20
_TRIES = 3


async def audit(
    ledger: LaneLedger, census: Census, *, patience: float, repair: bool
) -> list[Verdict]:
    """Check the lane; nothing is checked unless a lane gives out the jobs.

    Args:
        ledger: what the lane should be like.
        census: what it is like.
        patience: seconds for which something must look wrong: two leases.
        repair: drop entries that the lane should not carry.
    """
    audit = _Audit(ledger, census, patience)
    try:
        for _ in range(_TRIES):
            try:
                return await audit.run(repair=repair)
            except WrongEpoch:
                continue  # it was built anew meanwhile
    except LaneError as exc:
        return [Verdict(EPOCH, (Breach("lane", str(exc)),))]
    return [Verdict(EPOCH, (Breach("lane", "it is built anew again and again"),))]


class _Audit:
    def __init__(self, ledger: LaneLedger, census: Census, patience: float) -> None:
        self._ledger = ledger
        self._census = census
        self._patience = patience

    async def run(self, *, repair: bool) -> list[Verdict]:
        wrong = await self._persisting(await self._wrong_epochs(), self._wrong_epochs_still)
        if wrong:
            return [_verdict(EPOCH, wrong)]
        view = await self._ledger.view()
        if view.mode is not Mode.HYBRID:
            return []
        records = await self._census.records(view.epoch)
        return [
            Verdict(EPOCH, ()),
            await self._entries(view.epoch, records, repair=repair),
            await self._places(view.epoch, records),
        ]

    async def _wrong_epochs(self) -> dict[int, Breach]:
        view = await self._ledger.view()
        self._census.belong_to(view.ledger)
        epoch = await self._census.epoch()
        if view.mode is not Mode.HYBRID or epoch == view.epoch:
            return {}
        there = "none" if epoch is None else epoch
        detail = f"its epoch is {there}, the ledger's is {view.epoch}"
        return {view.epoch: Breach("lane", detail)}

    async def _wrong_epochs_still(self, before: Iterable[int]) -> dict[int, Breach]:
        del before
        return await self._wrong_epochs()

    async def _entries(self, epoch: int, records: list[Record], *, repair: bool) -> Verdict:
        async def still(tokens: Iterable[Token]) -> dict[Token, Breach]:
            before = set(tokens)
            present = await self._census.present(epoch, [job_id for job_id, _ in before])
            return await self._misfits((one.id, one.gen) for one in present if one[:2] in before)

        found = await self._misfits((one.id, one.gen) for one in records)
        wrong = await self._persisting(found, still)
        if not (wrong and repair):
            return _verdict(ENTRIES, wrong)
        await self._census.drop(epoch, [Ended(job_id, gen) for job_id, gen in wrong])
        return _verdict(ENTRIES, await still(wrong), repaired=True)

    async def _misfits(self, tokens: Iterable[Token]) -> dict[Token, Breach]:
        wrong: dict[Token, Breach] = {}
        waiting = iter(tokens)
        while len(wrong) < _MOST and (some := list(islice(waiting, 500))):
            for (job_id, gen), detail in (await self._ledger.misfits(some)).items():
                wrong[job_id, gen] = Breach(str(job_id), f"generation {gen} is in it: {detail}")
        return wrong

    async def _places(self, epoch: int, records: list[Record]) -> Verdict:
        async def still(before: Iterable[Record]) -> dict[Record, Breach]:
            counted = await self._misplaced(before)
            present = await self._census.present(epoch, [one.id for one in counted])
            return {one: counted[one] for one in present if one in counted}

        return _verdict(PLACES, await self._persisting(await still(records), still))

    async def _misplaced(self, records: Iterable[Record]) -> dict[Record, Breach]:
        queues = [queue.name for queue in await self._ledger.queues()]
        places = await self._census.places(queues)
        counts = ((one, places[one.id, one.place]) for one in records)
        wrong = ((one, n) for one, n in counts if n != 1)
        return {
            one: Breach(str(one.id), f"it is in {n or 'no'} place{'s' * (n > 1)}")
            for one, n in islice(wrong, _MOST)
        }

    async def _persisting(
        self,
        wrong: Mapping[K, Breach],
        still: Callable[[Iterable[K]], Awaitable[Mapping[K, Breach]]],
    ) -> Mapping[K, Breach]:
        """What stays wrong for as long as we are patient."""
        until = boottime() + self._patience
        while wrong and boottime() < until:
            await asyncio.sleep(self._patience / _LOOKS)
            wrong = await still(wrong)
        return wrong


def _verdict(check: Check, wrong: Mapping[K, Breach], *, repaired: bool = False) -> Verdict:
    return Verdict(check, tuple(islice(wrong.values(), _SHOW)), repaired)
