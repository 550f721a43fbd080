"""Looks at the lane's server, beside what the ledger tells of the lane, and says what to mend."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from headrace.errors import ConfigError, LaneError
from headrace.lanes.redis.faults import translated
from headrace.lanes.redis.keys import LANES, Keys, ledger_of
from headrace.lanes.redis.route import Route
from headrace.lanes.redis.upkeep import read_mark
from headrace.model.finding import Finding, Level
from headrace.model.lane_view import NOBODY, LaneView, Mark, Mode, Sighting, short

Told = Callable[[], Awaitable[tuple[LaneView | None, float]]]
"""How the lane is, as the ledger tells (None if it tells nothing), and the seconds of its clock
before this host's."""

_CLOCK = 2.0
_FULL = 0.9
_TIMEOUT = 5.0
_MIB = 1 << 20
_IDLE = 3600.0
_STEP, _STEPS = 10_000, 100


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the server tells.

    Attributes:
        server: its address, without user and password.
        info: the fields of INFO.
        ahead: seconds of its clock before this host's.
        epoch: as the lane keeps it; empty if there is no lane.
        mark: as the lane keeps it, too.
        places: how many are ready, delayed and leased.
        others: the lanes of other ledgers, as their keys name them, with the seconds since anybody
            looked after each.
    """

    server: str
    info: Mapping[str, Any]
    ahead: float
    epoch: str
    mark: Mark | None
    places: tuple[int, int, int]
    others: Mapping[str, float]


async def examine(url: str, told: Told) -> list[Finding]:
    """Look at everything that can be looked at; nothing is written.

    Args:
        url: of the server.
        told: asks the ledger, once for whose lane it is and again after the look: a relay leaves a
            mark every few seconds, and one that is younger than what the ledger told would be taken
            for somebody else's (`LaneView.owns`; tests/integration/test_lane_doctor.py,
            `test_a_mark_that_is_left_meanwhile_is_no_strangers`).
    """
    view, _ = await told()
    try:
        seen = await _look(url, NOBODY if view is None else view.ledger)
    except (ConfigError, LaneError) as exc:
        return [Finding(Level.FAIL, "lane server", str(exc))]
    server = [_server(seen), _policy(seen.info), _memory(seen.info)]
    view, ledger_ahead = await told()
    if view is None:
        return server
    return [
        *server,
        _clock(seen.ahead - ledger_ahead),
        _mode(view),
        _identity(view, seen),
        *_epoch(view, seen),
        _jobs(seen.places),
        *_others(seen.others),
    ]


def unconfigured(view: LaneView | None) -> list[Finding]:
    """What to say where no server is configured: something, if a lane gives out the jobs."""
    if view is None or view.mode is Mode.DIRECT:
        return []
    return [
        Finding(
            Level.WARN,
            "lane server",
            "not looked at: a lane gives out the jobs, but HEADRACE_REDIS_URL is not set here",
            "set it, here and for every worker; or headrace lane off",
        )
    ]


async def _look(url: str, ledger: UUID) -> _Seen:
    route = Route(
        url,
        socket_timeout=_TIMEOUT,
        socket_connect_timeout=_TIMEOUT,
        retry=Retry(NoBackoff(), 0),
    )
    keys = Keys(ledger)
    with route.naming_files(), translated(route.name):
        async with asyncio.timeout(_TIMEOUT):
            pool = await route.find(route.slot(keys.meta))
        async with Redis.from_pool(pool) as client:
            return await _ask(client, route.name, keys)


async def _ask(client: "Redis", name: str, keys: Keys) -> _Seen:
    info = await client.info()
    seconds, micros = await client.time()
    ahead = seconds + micros / 1e6 - time.time()
    (epoch, mark), names, workers = await _each(
        client,
        ("HMGET", keys.meta, "epoch", "mark"),
        ("SMEMBERS", keys.queues),
        ("ZRANGE", keys.workers, 0, -1),
    )
    queues = [one.decode() for one in names]
    ready = [("LLEN", key) for queue in queues for key in keys.ready(queue)]
    delayed = [("ZCARD", keys.delayed(queue)) for queue in queues]
    leased = [("HLEN", keys.held(worker)) for worker in workers]
    counts = [sum(await _each(client, *commands)) for commands in (ready, delayed, leased)]
    return _Seen(
        name,
        info,
        ahead,
        (epoch or b"").decode(),
        None if mark is None else read_mark(mark),
        (counts[0], counts[1], counts[2]),
        await _other_lanes(client, keys, seconds),
    )


async def _other_lanes(client: "Redis", keys: Keys, now: int) -> dict[str, float]:
    """Those that are found among the first million keys of the server."""
    found: set[bytes] = set()
    position = 0
    for _ in range(_STEPS):
        position, some = await client.scan(position, match=LANES, count=_STEP)
        found.update(one for one in some if isinstance(one, bytes))
        if position == 0:
            break
    others = sorted(found - {keys.meta})
    clocks = await _each(client, *(("HGET", meta, "clock") for meta in others))
    return {
        ledger_of(meta): max(0.0, now - int(clock or 0) / 1000)
        for meta, clock in zip(others, clocks, strict=True)
    }


async def _each(client: "Redis", *commands: tuple[bytes | str | int, ...]) -> list[Any]:
    pipeline = client.pipeline(transaction=False)
    for command in commands:
        pipeline.execute_command(*command)
    return await pipeline.execute()


def _server(seen: _Seen) -> Finding:
    info = seen.info
    kind, version = "Redis", info.get("redis_version", "of unknown version")
    if "valkey_version" in info:
        kind, version = "Valkey", info["valkey_version"]
    return Finding(Level.OK, "lane server", f"{kind} {version} at {seen.server}")


def _policy(info: Mapping[str, Any]) -> Finding:
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        return Finding(
            Level.FAIL,
            "lane policy",
            f"maxmemory-policy is {policy}, which throws jobs away when memory is full",
            "CONFIG SET maxmemory-policy noeviction, and in its configuration; workers refuse it",
        )
    return Finding(Level.OK, "lane policy", "nothing is evicted")


def _memory(info: Mapping[str, Any]) -> Finding:
    used, most = info.get("used_memory", 0), info.get("maxmemory", 0)
    if not most:
        return Finding(Level.OK, "lane memory", f"{used / _MIB:,.1f} MiB in use, without maxmemory")
    text = f"{used / _MIB:,.1f} MiB in use of {most / _MIB:,.1f}"
    if used > most * _FULL:
        return Finding(
            Level.WARN,
            "lane memory",
            f"{text}; when it is full, jobs wait in PostgreSQL",
            "raise maxmemory, or look at who else fills this server",
        )
    return Finding(Level.OK, "lane memory", text)


def _clock(apart: float) -> Finding:
    text = f"its clock is {apart:+.1f} s from PostgreSQL's"
    if abs(apart) > _CLOCK:
        return Finding(
            Level.WARN,
            "lane clock",
            text,
            "synchronise both; leases follow the lane's clock, schedules PostgreSQL's",
        )
    return Finding(Level.OK, "lane clock", text)


def _mode(view: LaneView) -> Finding:
    if view.mode is Mode.HYBRID:
        return Finding(Level.OK, "lane mode", "hybrid: the lane gives out the jobs")
    if view.mode is Mode.REBUILD:
        return Finding(
            Level.WARN,
            "lane mode",
            "rebuild: no jobs are given out until the lane is built",
            "start a worker with HEADRACE_REDIS_URL, if none lives",
        )
    if view.held:
        return Finding(
            Level.WARN,
            "lane mode",
            "direct, held: PostgreSQL gives out the jobs, by command",
            "headrace lane on, once the lane may",
        )
    if view.voted:
        return Finding(
            Level.WARN,
            "lane mode",
            "direct: PostgreSQL gives out the jobs, since most workers could not reach the lane; "
            "once it has been there for ten seconds, it is used again",
        )
    return Finding(
        Level.WARN,
        "lane mode",
        "direct: PostgreSQL gives out the jobs until a worker with HEADRACE_REDIS_URL builds the "
        "lane",
    )


def _owned(view: LaneView, seen: _Seen) -> bool:
    number, _, _ = seen.epoch.partition(":")
    return view.owns(Sighting(int(number) if number.isdigit() else 0, living=True, mark=seen.mark))


def _identity(view: LaneView, seen: _Seen) -> Finding:
    if _owned(view, seen):
        return Finding(Level.OK, "lane ledger", f"{short(view.ledger)}, in every key of the lane")
    return Finding(
        Level.FAIL,
        "lane ledger",
        f"the lane of {short(view.ledger)} tells of what this database never did: the database was "
        "restored to an earlier state, or is the copy of another that uses the lane",
        "a worker with HEADRACE_REDIS_URL builds the lane anew, or gives this database one of its "
        "own; start one, if none lives",
    )


def _others(others: Mapping[str, float]) -> list[Finding]:
    """Lanes that nobody has looked after for an hour; those in use are none of our business."""
    idle = {ledger: since for ledger, since in others.items() if since > _IDLE}
    return [
        Finding(
            Level.WARN,
            "lane of another",
            f"the lane of ledger {ledger} lies idle for {since / 3600:,.0f} h",
            "if its database is gone: redis-cli --scan --pattern "
            f"'{{headrace:{ledger}}}:*' | xargs redis-cli unlink",
        )
        for ledger, since in sorted(idle.items())
    ]


def _epoch(view: LaneView, seen: _Seen) -> list[Finding]:
    if view.mode is not Mode.HYBRID or not _owned(view, seen):
        return []
    epoch, _, run_id = seen.epoch.partition(":")
    if epoch == str(view.epoch) and run_id == seen.info.get("run_id"):
        return [Finding(Level.OK, "lane epoch", f"{epoch}, as in the ledger")]
    if epoch == str(view.epoch):
        text = f"{epoch} is from before its server's last start"
    else:
        text = f"{epoch or 'none'}, but the ledger is at {view.epoch}"
    return [
        Finding(
            Level.FAIL,
            "lane epoch",
            f"{text}: the lane lost what it carried",
            "a worker with HEADRACE_REDIS_URL builds it anew; start one, if none lives",
        )
    ]


def _jobs(places: tuple[int, int, int]) -> Finding:
    ready, delayed, leased = places
    return Finding(
        Level.OK, "lane jobs", f"{ready:,} ready, {delayed:,} delayed, {leased:,} leased"
    )
