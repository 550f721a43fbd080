"""Looks at the lane's server, beside what the ledger tells of the lane, and says what to mend."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from headrace.errors import LaneError
from headrace.lanes.redis.faults import translated
from headrace.lanes.redis.keys import Keys
from headrace.model.finding import Finding, Level
from headrace.model.lane_view import LaneView, Mode

_CLOCK = 2.0
_FULL = 0.9
_TIMEOUT = 5.0
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the server tells.

    Attributes:
        server: its address, without user and password.
        info: the fields of INFO.
        ahead: seconds of its clock before this host's.
        epoch: as the lane keeps it; empty if there is no lane.
        places: how many are ready, delayed and leased.
    """

    server: str
    info: Mapping[str, Any]
    ahead: float
    epoch: str
    places: tuple[int, int, int]


async def examine(url: str, view: LaneView | None, ledger_ahead: float) -> list[Finding]:
    """Look at everything that can be looked at; nothing is written.

    Args:
        url: of the server.
        view: how the lane is, as the ledger tells; None if it tells nothing.
        ledger_ahead: seconds of the ledger's clock before this host's.
    """
    try:
        seen = await _look(url)
    except LaneError as exc:
        return [Finding(Level.FAIL, "lane server", str(exc), "mend the URL or the server")]
    server = [_server(seen), _policy(seen.info), _memory(seen.info)]
    if view is None:
        return server
    return [
        *server,
        _clock(seen.ahead - ledger_ahead),
        _mode(view),
        *_epoch(view, seen),
        _jobs(seen.places),
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


async def _look(url: str) -> _Seen:
    parts = urlsplit(url)
    name = parts.netloc.rpartition("@")[2] or parts.path
    try:
        client = Redis.from_url(
            url,
            socket_timeout=_TIMEOUT,
            socket_connect_timeout=_TIMEOUT,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError:
        # Its words may hold a piece of the password.
        raise LaneError(
            "the lane's URL cannot be read; write redis://user:password@host:6379/0, with / and @ "
            "of a password as %2F and %40"
        ) from None
    async with client:
        with translated(name):
            return await _ask(client, name)


async def _ask(client: "Redis", name: str) -> _Seen:
    keys = Keys("main")
    info = await client.info()
    seconds, micros = await client.time()
    ahead = seconds + micros / 1e6 - time.time()
    epoch, names, workers = await _each(
        client,
        ("HGET", keys.meta, "epoch"),
        ("SMEMBERS", keys.queues),
        ("ZRANGE", keys.workers, 0, -1),
    )
    queues = [one.decode() for one in names]
    ready = [("LLEN", key) for queue in queues for key in keys.ready(queue)]
    delayed = [("ZCARD", keys.delayed(queue)) for queue in queues]
    leased = [("HLEN", keys.held(worker)) for worker in workers]
    counts = [sum(await _each(client, *commands)) for commands in (ready, delayed, leased)]
    return _Seen(name, info, ahead, (epoch or b"").decode(), (counts[0], counts[1], counts[2]))


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
    return Finding(
        Level.WARN,
        "lane mode",
        "direct: PostgreSQL gives out the jobs, though a lane is configured here",
        "start a worker with HEADRACE_REDIS_URL",
    )


def _epoch(view: LaneView, seen: _Seen) -> list[Finding]:
    if view.mode is not Mode.HYBRID:
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
