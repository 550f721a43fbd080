"""The errors of Redis and its driver as ours."""

from collections.abc import Iterator
from contextlib import contextmanager

from redis import exceptions as redis

from headrace.errors import HeadraceError, LaneError, LaneUnavailable, WrongEpoch

_WRONG_EPOCH = "WRONGEPOCH "

# The first that fits counts: some of these are kinds of ConnectionError.
_AWAY: dict[type[redis.RedisError], str] = {
    redis.AuthenticationError: "refused user or password; correct them in HEADRACE_REDIS_URL",
    redis.NoPermissionError: "forbids its user a call; grant what docs/servers.md lists",
    redis.BusyLoadingError: "is still loading its data; try again",
    redis.TimeoutError: "did not answer in time",
    redis.ReadOnlyError: "is a replica; name its primary in HEADRACE_REDIS_URL",
    redis.MovedError: "has not the lane's slot; name it as redis+cluster:// in HEADRACE_REDIS_URL",
    redis.AskError: "gives the lane's slot to another node; try again",
    redis.TryAgainError: "gives the lane's slot to another node; try again",
    redis.ClusterDownError: "is of a cluster that is down; see `cluster info`",
    redis.OutOfMemoryError: "is out of memory; raise its maxmemory",
    redis.ConnectionError: "cannot be reached; check that it runs and HEADRACE_REDIS_URL",
}

# Those that the driver has no kinds for.
_REFUSED = {
    "MISCONF": "takes no writes, since it cannot keep them; look at its log and its disk",
    "NOREPLICAS": "takes no writes while too few replicas follow it",
    "MASTERDOWN": "is a replica of a server that is away; name the primary in HEADRACE_REDIS_URL",
    "CLUSTERDOWN": "is part of a cluster that is down",
}


@contextmanager
def translated(server: str) -> Iterator[None]:
    """Turn the driver's errors into ours; `server` names it in messages, without its password.

    Raises:
        LaneUnavailable: the server is away, refuses us, or cannot write; a call may have run.
        WrongEpoch: the lane is at another epoch; nothing was done.
        LaneError: anything else that the server refused.
    """
    try:
        yield
    except redis.RedisError as exc:
        raise _translate(exc, server) from exc
    except TimeoutError as exc:
        raise LaneUnavailable(f"the lane's server {server} did not answer in time") from exc
    except OSError as exc:
        raise LaneUnavailable(f"the lane's server {server} cannot be reached: {exc}") from exc


def _translate(exc: redis.RedisError, server: str) -> HeadraceError:
    said = str(exc)
    if said.startswith(_WRONG_EPOCH):
        return WrongEpoch(
            f"the lane on {server} is at epoch {said.removeprefix(_WRONG_EPOCH)}, not at the one "
            "asked for; read the ledger's again"
        )
    if "CERTIFICATE" in said or "certificate" in said:
        return LaneUnavailable(
            f"the lane's server {server} is not trusted over TLS; check ssl_ca_certs in "
            f"HEADRACE_REDIS_URL, and the names in the server's certificate: {said}"
        )
    for kind, sentence in _AWAY.items():
        if isinstance(exc, kind):
            return LaneUnavailable(f"the lane's server {server} {sentence}: {said}")
    for code, sentence in _REFUSED.items():
        if said.startswith(code):
            return LaneUnavailable(f"the lane's server {server} {sentence}: {said}")
    return LaneError(f"the lane's server {server} refused a call: {said}")
