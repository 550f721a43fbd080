"""Looks at the cache's server, and says what to mend."""

import asyncio

from redis.asyncio import Redis
from redis.exceptions import RedisError

from headrace.cache.neighbours import check_alone
from headrace.cache.way import way_to
from headrace.errors import ConfigError, LaneError
from headrace.model.finding import Finding, Level

_NAME = "cache server"
_TIMEOUT = 5.0


async def examine(url: str, lane_url: str | None) -> list[Finding]:
    """Look at it; nothing is written.

    Args:
        url: of the cache's server.
        lane_url: of the lane's, which must not be the same one if that evicts.
    """
    try:
        route = way_to(url, socket_timeout=_TIMEOUT, socket_connect_timeout=_TIMEOUT)
        async with asyncio.timeout(_TIMEOUT):
            pool = await route.find(0)
            async with Redis.from_pool(pool) as client:
                await check_alone(client, route.name, lane_url)
                policy = (await client.info("memory")).get("maxmemory_policy", "noeviction")
    except ConfigError as exc:
        return [Finding(Level.FAIL, _NAME, str(exc))]
    except (RedisError, OSError, LaneError) as exc:
        return [Finding(Level.WARN, _NAME, f"it is away, so all values are computed: {exc}")]
    return [Finding(Level.OK, _NAME, f"at {route.name}, maxmemory-policy {policy}")]
