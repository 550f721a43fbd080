"""Options of five usual kinds of work, to be taken as they are or changed.

    @app.task(**presets.ORDERS)
    async def settle_order(order: int) -> None: ...

Each is `TaskOptions`: its queue, when it runs again, its attempts and its time limit. They suggest
`CONCURRENCY` slots each: `headrace worker shop:app -q emails:5 -q webhooks:5`.
"""

from datetime import timedelta
from typing import Final

from headrace import RetryPolicy
from headrace.options import TaskOptions


def _steps(*seconds: int) -> RetryPolicy:
    return RetryPolicy(steps=tuple(timedelta(seconds=each) for each in seconds), jitter=0.1)


CONCURRENCY: Final[int] = 5

EMAILS: Final[TaskOptions] = {
    "queue": "emails",
    "retry": "mail",
    "max_attempts": 5,
    "timeout": "60s",
}
WEBHOOKS: Final[TaskOptions] = {
    "queue": "webhooks",
    "retry": "webhook",
    "max_attempts": 8,
    "timeout": "30s",
}
IMAGES: Final[TaskOptions] = {
    "queue": "image-processing",
    "retry": _steps(5, 30, 120),
    "max_attempts": 3,
    "timeout": "5m",
}
ORDERS: Final[TaskOptions] = {
    "queue": "orders",
    "retry": "steps",
    "max_attempts": 5,
    "timeout": "60s",
}
ANALYTICS: Final[TaskOptions] = {
    "queue": "analytics",
    "retry": _steps(1, 5),
    "max_attempts": 2,
    "timeout": "10s",
}
