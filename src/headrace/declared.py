"""What the code of an application declares of its tasks, its queues and their limits."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from headrace.errors import UsageError
from headrace.model.concurrency import ConcurrencyLimit, LineRule, LinesSaid
from headrace.model.depth import check_depth
from headrace.model.fair_share import WINDOW, FairShare
from headrace.model.names import check_name
from headrace.model.promise import Promise, read_promise
from headrace.model.rate import RateLimit
from headrace.options import read_limits
from headrace.payload import MAX_RESULT, encode
from headrace.ports.engine import Engine
from headrace.task import Task


class Declared:
    """It only ever grows, so that its size tells whether the ledger knows all of it.

    Attributes:
        tasks: by name.
        queues: those that are no task's own, or of which more is said.
        promises: of queues that say one.
        limits: by name; a name means the same everywhere.
        queue_limits: the rate limits of queues that have any.
        widths: concurrency limits by name, likewise.
        queue_widths: the concurrency limits of queues of whose limits something is said.
        shares: by what queues are shared out that are.
        max_depths: how many jobs queues may hold, where that is limited.
    """

    def __init__(self) -> None:
        self.tasks: dict[str, Task[..., Any]] = {}
        self.queues: set[str] = set()
        self.promises: dict[str, Promise] = {}
        self.limits: dict[str, RateLimit] = {}
        self.queue_limits: dict[str, tuple[RateLimit, ...]] = {}
        self.widths: dict[str, ConcurrencyLimit] = {}
        self.queue_widths: dict[str, tuple[ConcurrencyLimit, ...]] = {}
        self.shares: dict[str, FairShare] = {}
        self.max_depths: dict[str, int] = {}

    def __len__(self) -> int:
        """How much the ledger is told."""
        limited = self.limits, self.widths, self.queue_widths, self.shares, self.max_depths
        return sum(map(len, (self.tasks, self.queues, self.promises, *limited)))

    def add_task(self, task: Task[..., Any]) -> None:
        """Add a task.

        Raises:
            UsageError: its name is taken, its queue has tasks that take another number of jobs a
                call, or one of its limits has other rates elsewhere.
        """
        if task.name in self.tasks:
            other = self.tasks[task.name].fn
            raise UsageError(
                f'task "{task.name}" exists already ({other.__module__}.{other.__qualname__}); '
                "give one of them another name: @app.task(name=...)"
            )
        self._refuse_mixture(task)
        self._share(task.limits, task.concurrency)
        self.tasks[task.name] = task

    def add_queue(
        self, name: str, promise: str | None, limits: Sequence[RateLimit | ConcurrencyLimit]
    ) -> None:
        """Add a queue, or more of one.

        Raises:
            UsageError: as `Headrace.queue`.
        """
        self.queues.add(check_name("queue", name))
        if promise is not None:
            said = read_promise(name, promise)
            before = self.promises.setdefault(name, said)
            if before is not said:
                raise UsageError(f'queue "{name}" is declared {before} and {said}; say one of them')
        if limits:
            rates, widths = read_limits(limits)
            self._share(rates, widths)
            if rates:
                self.queue_limits[name] = rates
            self.queue_widths[name] = widths

    def add_share(self, share: FairShare) -> None:
        """Share a queue out.

        Raises:
            UsageError: it is shared out otherwise already.
        """
        if self.shares.setdefault(share.queue, share) != share:
            raise UsageError(
                f'queue "{share.queue}" is shared by one thing and by another; say one of them'
            )

    def bound_queue(self, name: str, max_depth: int) -> None:
        """Let a queue hold so many jobs at most.

        Raises:
            UsageError: as `Headrace.queue`.
        """
        before = self.max_depths.setdefault(name, check_depth(name, max_depth))
        if before != max_depth:
            raise UsageError(
                f'queue "{name}" is declared with max_depth {before} and {max_depth}; '
                "say one of them"
            )

    async def tell(self, engine: Engine) -> None:
        """Make all of it known to the ledger."""
        tasks = [self.tasks[name].declaration() for name in sorted(self.tasks)]
        await engine.declare(tasks, sorted(self.queues), self.promises)
        await engine.limiter.declare(self.limits.values())
        await engine.limiter.seats.declare(self._lines())
        if self.max_depths:
            await engine.limiter.bound(self.max_depths)

    def _refuse_mixture(self, task: Task[..., Any]) -> None:
        """The slots of a queue are calls, of as many jobs each: of one kind, therefore."""
        for other in self.tasks.values():
            if other.queue == task.queue and other.batch != task.batch:
                raise UsageError(
                    f'tasks "{other.name}" and "{task.name}" take {other.batch} and {task.batch} '
                    f'jobs a call, on one queue, "{task.queue}"; give one of them another queue'
                )

    def _lines(self) -> LinesSaid:
        of_tasks = [(one, task) for task in self.tasks.values() for one in task.concurrency]
        of_queues = [(one, queue) for queue, said in self.queue_widths.items() for one in said]
        shares = self.shares.values()
        fields = frozenset[str]().union(
            *(one.fields for one in self.widths.values()), *(one.fields for one in shares)
        )
        widths = {name: one.width for name, one in self.widths.items()}
        defaults = {
            name: {field: task.defaults[field] for field in fields & task.defaults.keys()}
            for name, task in self.tasks.items()
            if fields & task.defaults.keys()
        }
        return LinesSaid(
            limits=widths | {one.limit: WINDOW for one in shares},
            tasks=tuple(self.tasks),
            queues=tuple(self.queue_widths | self.shares),
            rules=(
                *(LineRule.of(one, task=task.name) for one, task in of_tasks),
                *(LineRule.of(one, queue=queue) for one, queue in of_queues),
                *(one.rule for one in shares),
            ),
            defaults=msgspec.json.decode(encode(defaults, MAX_RESULT)),
            weights={one.limit: one.weights for one in shares},
        )

    def _share(self, limits: Iterable[RateLimit], widths: Iterable[ConcurrencyLimit]) -> None:
        for one in widths:
            other = self.widths.setdefault(one.name, one)
            if other.width != one.width or one.name in self.limits:
                raise UsageError(
                    f'limit "{one.name}" is declared twice, and not alike; say one of '
                    "them, or give them two names"
                )
        for limit in limits:
            if limit.name in self.widths:
                raise UsageError(
                    f'limit "{limit.name}" is declared as one of rates and as one of concurrency; '
                    "give them two names"
                )
            before = self.limits.setdefault(limit.name, limit)
            if before.rates != limit.rates:
                ours, theirs = (", ".join(map(str, one.rates)) for one in (limit, before))
                raise UsageError(
                    f'limit "{limit.name}" is declared as {theirs} and as {ours}; say one of them, '
                    "or give them two names"
                )
