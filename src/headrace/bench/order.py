"""What a worker process of a measurement is told, and what it says at its end."""

import msgspec


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker process is to do.

    Attributes:
        lean: be the lean worker instead of the product.
        burst: end when nothing is due; else at SIGTERM.
        lease: seconds of silence after which others may take its jobs.
    """

    database_url: str
    redis_url: str | None = None
    lean: bool = False
    burst: bool = True
    concurrency: int = 100
    lease: float = 15.0


class Report(msgspec.Struct, frozen=True):
    """The CPU seconds that it used from its start signal to its end."""

    cpu: float
