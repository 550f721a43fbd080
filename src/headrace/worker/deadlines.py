"""One wheel for the deadlines of all attempts: a timer a job would cost more than the job."""

import asyncio
from collections.abc import Callable

_TICK = 0.1


class Watch:
    """A deadline that is being watched; `cancel` it when it is met."""

    __slots__ = ("_bucket", "expire")

    def __init__(self, bucket: set["Watch"], expire: Callable[[], None]) -> None:
        self._bucket = bucket
        self.expire = expire
        bucket.add(self)

    def cancel(self) -> None:
        """Stop watching."""
        self._bucket.discard(self)


class Deadlines:
    """Calls `expire` up to a tenth of a second after each deadline, on the event loop."""

    def __init__(self) -> None:
        self._buckets: dict[int, set[Watch]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, seconds: float, expire: Callable[[], None]) -> Watch:
        """Watch a deadline that many seconds from now."""
        loop = asyncio.get_running_loop()
        slot = int((loop.time() + seconds) / _TICK) + 1
        bucket = self._buckets.get(slot)
        if bucket is None:
            bucket = self._buckets[slot] = set()
        if self._timer is None:
            self._timer = loop.call_later(_TICK, self._turn)
        return Watch(bucket, expire)

    def close(self) -> None:
        """Watch nothing more."""
        self._buckets.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _turn(self) -> None:
        loop = asyncio.get_running_loop()
        now = int(loop.time() / _TICK)
        self._timer = None
        for slot in [slot for slot in self._buckets if slot <= now]:
            for watch in self._buckets.pop(slot):
                watch.expire()
        if self._buckets and self._timer is None:
            self._timer = loop.call_later(_TICK, self._turn)
