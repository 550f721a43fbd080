"""The way to the cache's server, which is found as that of a lane is."""

from typing import Any

from headrace.errors import ConfigError
from headrace.lanes.redis.route import Route


def way_to(url: str, **options: Any) -> Route:  # noqa: ANN401 - what the driver takes
    """The route of a URL; what is wrong with it is told of the cache's.

    Raises:
        ConfigError: the URL cannot be.
    """
    try:
        return Route(url, **options)
    except ConfigError as exc:
        raise ConfigError(str(exc).replace("the lane's URL", "the cache's URL", 1)) from None
