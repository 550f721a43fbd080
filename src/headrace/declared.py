"""What the code of an application declares of its tasks, its queues and their limits."""

from collections.abc import Iterable, Sequence
from typing import Any

from headrace.errors import UsageError
from headrace.model.depth import check_depth
from headrace.model.names import check_name
from headrace.model.promise import Promise, read_promise
from headrace.model.rate import RateLimit
from headrace.options import read_limits
from headrace.ports.engine import Engine
from headrace.task import Task


class Declared:
    """It only ever grows, so that its size tells whether the ledger knows all of it.

    Attributes:
        tasks: by name.
        queues: those that are no task's own, or of which more is said.
        promises: of queues that say one.
        limits: by name; a name means the same everywhere.
        queue_limits: the limits of queues that have any.
        max_depths: how many jobs queues may hold, where that is limited.
    """

    def __init__(self) -> None:
        self.tasks: dict[str, Task[..., Any]] = {}
        self.queues: set[str] = set()
        self.promises: dict[str, Promise] = {}
        self.limits: dict[str, RateLimit] = {}
        self.queue_limits: dict[str, tuple[RateLimit, ...]] = {}
        self.max_depths: dict[str, int] = {}

    def __len__(self) -> int:
        """How much the ledger is told."""
        said = self.tasks, self.queues, self.promises, self.limits, self.max_depths
        return sum(map(len, said))

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
        self._share(task.limits)
        self.tasks[task.name] = task

    def add_queue(self, name: str, promise: str | None, limits: Sequence[RateLimit]) -> None:
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
            self.queue_limits[name] = read_limits(limits)
            self._share(self.queue_limits[name])

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

    def _share(self, limits: Iterable[RateLimit]) -> None:
        for limit in limits:
            before = self.limits.setdefault(limit.name, limit)
            if before.rates != limit.rates:
                ours, theirs = (", ".join(map(str, one.rates)) for one in (limit, before))
                raise UsageError(
                    f'limit "{limit.name}" is declared as {theirs} and as {ours}; say one of them, '
                    "or give them two names"
                )
