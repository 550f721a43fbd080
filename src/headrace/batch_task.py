"""Tasks whose handler takes many jobs in one call."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, ParamSpec, Protocol, TypeVar, cast

from headrace.batch_signature import BatchSignature, read_batch_signature
from headrace.context import Context, LocalContext
from headrace.errors import UsageError
from headrace.middleware import Layer
from headrace.model.duration import parse_duration
from headrace.model.outcome import Outcome
from headrace.options import BatchOptions, TaskOptions
from headrace.signature import Signature
from headrace.surroundings import Call, Surroundings, provided
from headrace.task import AsyncTask, Enqueuer

P = ParamSpec("P")
R = TypeVar("R")
_MOST = 1_000
_WAIT = timedelta(milliseconds=50)


class Gatherer(Protocol):
    """The context of a run that can join a call."""

    async def gather(self, task: "BatchTask[..., Any]", item: object) -> object:
        """Wait for the call that takes this job, and return what became of it."""


class BatchTask(AsyncTask[P, R]):
    """A task whose handler takes many jobs in one call.

    Each of its jobs is a job like any other, with attempts, retries and a result of its own.

    Attributes:
        batch: how many jobs a call takes at most.
        batch_wait: seconds that the first of them waits for others.
    """

    _batch_signature: BatchSignature

    def __init__(self, app: Enqueuer, fn: Callable[..., Any], options: BatchOptions) -> None:
        given: dict[str, Any] = dict(options)
        self.batch: int = _batch(given.pop("batch"))
        wait = parse_duration(given.pop("batch_wait", _WAIT), "batch_wait")
        self.batch_wait: float = wait.total_seconds()
        if given.get("executor") is not None:
            raise UsageError("a batch task runs in its worker; leave out executor=, or batch=")
        super().__init__(app, fn, cast("TaskOptions", given))

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        """Call the handler here with this job alone."""
        item = self._batch_signature.one.bind(args, kwargs)["item"]
        return self._call_with(item)

    async def call_batch(
        self, contexts: Sequence[Context], items: Sequence[object]
    ) -> Sequence[object]:
        """Call the handler; returns what became of each job: a value, an outcome, an exception.

        Raises:
            TypeError: it returned something else.
        """
        call = partial(self.fn, contexts) if self._batch_signature.wants_contexts else self.fn

        def go_on(_: Context, filled: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a coroutine
            return call(items, **filled)

        if self._dependencies is None:
            returned = await go_on(contexts[0], {})
        else:
            returned = await provided(go_on, self._dependencies, contexts[0], {})
        return _spread(returned, len(items), self.name)

    def _read_signature(self, fn: Callable[..., Any], name: str) -> Signature:
        self._batch_signature = read_batch_signature(fn, name)
        return self._batch_signature.one

    def _surround(self, layers: Sequence[Layer]) -> None:
        """Middleware stands around each job; what the handler depends on is given once a call."""
        self.call: Call = Surroundings(self._call, layers, None, in_thread=False).run

    def _call(self, ctx: Context, arguments: Mapping[str, Any]) -> Any:  # noqa: ANN401 - as above
        return cast("Gatherer", ctx).gather(self, arguments["item"])

    async def _call_with(self, item: object) -> R:
        ctx = LocalContext(self.name, self.queue, self.max_attempts, self.state_of)
        (value,) = await self.call_batch([ctx], [item])
        if isinstance(value, BaseException) and not isinstance(value, Outcome):
            raise value
        return cast("R", value)


def _spread(returned: object, jobs: int, name: str) -> Sequence[object]:
    if returned is None:
        return [None] * jobs
    if isinstance(returned, list | tuple) and len(returned) == jobs:
        return cast("Sequence[object]", returned)
    what = f"{len(returned)} outcomes" if isinstance(returned, list | tuple) else type(returned)
    raise TypeError(
        f'task "{name}" returned {what} for {jobs} jobs; return None, or a list with one for each'
    )


def _batch(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MOST:
        return value
    raise UsageError(f"batch={value!r} is no number of jobs; give 1 to {_MOST:,}")
