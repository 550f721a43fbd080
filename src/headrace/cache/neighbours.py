"""A cache may throw values away when its server is full, and a lane may not: not on one server."""

from contextlib import suppress

from redis.asyncio import Redis
from redis.exceptions import RedisError

from headrace.errors import ConfigError, LaneError
from headrace.lanes.redis.keys import LANES
from headrace.lanes.redis.route import Route

_STEP, _STEPS = 5000, 20


async def check_alone(client: "Redis", name: str, lane_url: str | None) -> None:
    """Refuse a server that evicts and has a lane.

    It has one if it is the server of our lane, or if a key of a lane is among its first 100,000.

    Raises:
        ConfigError: it is such a server.
    """
    info = await client.info()
    policy = info.get("maxmemory_policy", "noeviction")
    if policy == "noeviction":
        return
    if await _is_of_our_lane(str(info.get("run_id")), lane_url) or await _has_lane(client):
        raise ConfigError(
            f"the cache's server {name} has a lane, too, and maxmemory-policy {policy}, which "
            "throws jobs away when memory is full; name another server in HEADRACE_CACHE_URL, or "
            "set the policy to noeviction"
        )


async def _is_of_our_lane(run_id: str, lane_url: str | None) -> bool:
    if lane_url is None:
        return False
    route = Route(lane_url, socket_connect_timeout=1.0)
    with suppress(RedisError, OSError, LaneError):  # where it is away its own guard refuses later
        async with Redis.from_pool(await route.find(0)) as lane:
            info = await lane.info("server")
            return bool(info.get("run_id") == run_id)
    return False


async def _has_lane(client: "Redis") -> bool:
    position = 0
    for _ in range(_STEPS):
        position, found = await client.scan(position, match=LANES, count=_STEP)
        if found:
            return True
        if position == 0:
            return False
    return False
