"""The broken twins of the lane, each with the rule of the protocol that it breaks."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from uuid import UUID

import msgspec

from chaos.faultplan import POLL_SECONDS
from chaos.twins import Twin, by_name, swap_method
from headrace.engines.lane_dispatch import LaneDispatch
from headrace.engines.ledgered import LedgeredEngine
from headrace.errors import LaneUnavailable
from headrace.lanes.redis import scripts
from headrace.lanes.redis.lane import RedisLane
from headrace.model.entry import Ended, LaneEntry
from headrace.model.job import Delivery
from headrace.model.lane_view import LaneView
from headrace.ports.lane_ledger import Ahead
from headrace.relay.lane_reaper import LaneReaper
from headrace.relay.sweep import Sweep
from headrace.worker.hand import Hand
from headrace.worker.runner import Runner


def swap_script(broken: str, *places: tuple[str, str]) -> None:
    """Replace the one place of each text in a script of the lane, or in the head of all.

    Raises:
        ValueError: the script has no such place or several.
    """
    original = scripts._read
    text = original(broken)
    for old, new in places:
        if text.count(old) != 1:
            raise ValueError(f"{broken} has {text.count(old)} places of {old!r}; a twin swaps one")
        text = text.replace(old, new)

    def read(name: str) -> str:
        return text if name == broken else original(name)

    scripts._read = read
    scripts.script.cache_clear()


async def _ack_then_run(
    self: Runner, here: "asyncio.Task[None]", hand: Hand, one: Delivery
) -> None:
    engine = self._engine
    assert isinstance(engine, LedgeredEngine)
    engine.settled(hand.worker, one)
    await engine._dispatch.flush(engine.view.epoch, hand.worker)
    await _run(self, here, hand, one)


_run = Runner.run


async def _put_again(self: RedisLane, epoch: int, queue: str, entries: Sequence[LaneEntry]) -> str:
    try:
        return await _put(self, epoch, queue, entries)
    except LaneUnavailable:
        while all(await _still_there(self, entries)):
            await asyncio.sleep(POLL_SECONDS)  # another process empties the lane
        return await _put(self, epoch, queue, entries)


_put = RedisLane._put


async def _still_there(lane: RedisLane, entries: Sequence[LaneEntry]) -> list[bytes | None]:
    async with lane._links.link() as link:
        ids = [entry.id.bytes for entry in entries]
        found: list[bytes | None] = await link.call("HMGET", lane._keys.jobs, *ids)
        return found


async def _believe(
    self: LaneDispatch,
    worker: UUID,
    call: int,
    deliveries: list[Delivery],
    ahead: Ahead | None,
    *,
    strict: bool,
) -> list[Delivery]:
    believed = [msgspec.structs.replace(one, flagged=False) for one in deliveries]
    return await _admit(self, worker, call, believed, ahead, strict=strict)


async def _claim_none(
    self: LaneDispatch,
    worker: UUID,
    call: int,
    deliveries: list[Delivery],
    ahead: Ahead | None,
    *,
    strict: bool,
) -> list[Delivery]:
    limits = {one.token: one.max_attempts for one in deliveries}
    endless = [msgspec.structs.replace(one, max_attempts=99) for one in deliveries]
    admitted = await _admit(self, worker, call, endless, ahead, strict=strict)
    return [msgspec.structs.replace(one, max_attempts=limits[one.token]) for one in admitted]


_admit = LaneDispatch._admit


async def _do_nothing(*_args: object) -> int:
    return 0


async def _redeliver(self: LaneReaper, view: LaneView) -> int:
    leases = await self._lane.expired(view.epoch, 200)
    standing = await self._ledger.standing([lease.id for lease in leases], view)
    await self._lane.drop(view.epoch, [Ended(lease.id, lease.gen) for lease in leases])
    entries = [one.entry for one in standing.values() if one.entry is not None]
    await self._lane.put(view.epoch, entries)
    return len(leases)


LANE_TWINS: Mapping[str, Twin] = by_name(
    Twin(
        "ack_at_start",
        "a job is removed from the lane when its run starts",
        partial(swap_method, Runner, "run", _ack_then_run),
    ),
    Twin(
        "put_again_as_it_was",
        "a put whose reply was lost is sent again unflagged",
        partial(swap_method, RedisLane, "_put", _put_again),
    ),
    Twin(
        "late_puts_are_believed",
        "a put is taken for fresh however late it comes and whatever has ended meanwhile",
        partial(
            swap_script,
            "put",
            ("age < 0 or age > FRESH", "age < 0"),
            ("tonumber(call('ZSCORE', KEYS[3], id) or 0) > now", "false"),
        ),
    ),
    Twin(
        "flags_are_ignored",
        "what is flagged runs without a look into the ledger",
        partial(swap_method, LaneDispatch, "_admit", _believe),
    ),
    Twin(
        "no_sweep",
        "what write-through missed is left to the walk",
        partial(swap_method, Sweep, "round", _do_nothing),
    ),
    Twin(
        "no_lane_reaper",
        "nobody takes jobs from a worker whose lease in the lane is over",
        partial(swap_method, LaneReaper, "round", _do_nothing),
    ),
    Twin(
        "redelivered_by_the_lane",
        "what a silent worker held is given out again under the same generation",
        partial(swap_method, LaneReaper, "round", _redeliver),
    ),
    Twin(
        "beat_releases_takes_in_flight",
        "a beat gives back what a take has given whose reply is under way",
        partial(
            swap_script,
            "beat",
            ("elseif struct.unpack('>I4', lease, 12) <= tonumber(ARGV[4]) then", "else"),
        ),
    ),
    Twin(
        "takes_without_a_lease",
        "a worker whose lease is over takes jobs",
        partial(
            swap_script, "take", ("tonumber(call('ZSCORE', KEYS[4], worker) or 0) <= now", "false")
        ),
    ),
    Twin(
        "last_attempt_not_claimed",
        "a last attempt starts by the lane's word alone",
        partial(swap_method, LaneDispatch, "_admit", _claim_none),
    ),
    Twin(
        "no_epoch",
        "the lane answers calls of any epoch, and after a restart goes on as before",
        partial(swap_script, "prelude", ("if state[1] ~= ARGV[1] then", "if false then")),
    ),
    Twin(
        "no_grace",
        "a lane that lost its data gives out at once what others may still run",
        partial(swap_script, "open", ("now + tonumber(ARGV[2])", "now")),
    ),
)
