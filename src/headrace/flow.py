"""Flows: jobs that wait for each other, enqueued as one graph: `app.flow()`."""

from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from headrace.errors import UsageError
from headrace.flow_graph import callbacks_of, in_order
from headrace.handle import JobHandle
from headrace.intake import checked, linked_job
from headrace.model.flow import FlowSeen
from headrace.model.inspection import Answer
from headrace.model.job import NewJob
from headrace.model.links import Link, Links, Membership, OnFailure, check_on_failure
from headrace.model.shown import shown
from headrace.model.text import check_text
from headrace.ports.engine import Engine
from headrace.task import JobSpec

R = TypeVar("R")
T = TypeVar("T")
_HEARD = (Answer.DONE, Answer.STARTING, Answer.ASKED)
_BEFORE = "what flow.add(...) returned, a job that was enqueued, or a list of these"


class Home(Protocol):
    """What a flow needs of its application."""

    @property
    def engine(self) -> Engine:
        """Where jobs are kept."""

    @property
    def actor(self) -> str:
        """Who it is, as it is kept in the history of jobs."""

    async def put(
        self, make: Callable[[Callable[[], UUID]], list[NewJob]], tx: object
    ) -> list[JobHandle[Any]]:
        """Insert what is made with ids of the ledger's clock, all or none."""

    def call_sync(self, make: Callable[[], Coroutine[Any, Any, T]], instead: str) -> T:
        """Run a coroutine in the portal's event loop."""


class Step(Generic[R]):
    """A job of a flow that is not enqueued yet; made by `Flow.add`.

    Attributes:
        name: what it is called in its flow.
        spec: the job.
        parents: what it comes after, each with what its failure means.
    """

    def __init__(self, name: str, spec: JobSpec[R]) -> None:
        self.name = name
        self.spec = spec
        self.parents: dict[Step[Any] | UUID, OnFailure] = {}

    def __repr__(self) -> str:
        return f'<step "{self.name}">'

    def after(self, *parents: "Before", on_failure: OnFailure = "fail") -> "Step[R]":
        """Let it come after more; returns itself.

        Raises:
            UsageError: one of them is no step and no job, or `on_failure` is unknown.
        """
        meaning = check_on_failure(on_failure)
        for parent in parents:
            for one in _each(parent):
                self.parents[one] = meaning
        return self


Before = Step[Any] | JobHandle[Any] | Iterable[Step[Any] | JobHandle[Any]]
"""What a step may come after."""


class Flow:
    """Jobs that wait for each other: add them, then `enqueue` all at once.

    A job of it is blocked until all that it comes after is over. Where one of these is dead or
    cancelled, `on_failure` says what becomes of it: "fail", it is cancelled, and what comes after
    it in turn; "ignore", it runs; "wait", it waits until the dead one is replayed and completes.

    Args:
        home: the application.
        name: by which people know it; need not be unique.
    """

    def __init__(self, home: Home, name: str = "") -> None:
        self._home = home
        self.name: str = check_text("the name of a flow", name)
        self._steps: list[Step[Any]] = []
        self._on_success: list[Step[Any]] = []
        self._on_complete: list[Step[Any]] = []

    def add(
        self,
        job: JobSpec[R],
        *,
        after: Before = (),
        on_failure: OnFailure = "fail",
        name: str | None = None,
    ) -> Step[R]:
        """Add a job.

        Args:
            job: made by `task.job(...)`.
            after: what it comes after: steps of this flow, and jobs that were enqueued before.
            on_failure: what it means to this job where one of them does not complete: "fail",
                "ignore" or "wait". `Step.after` says another for others.
            name: what it is called in this flow; that of its task where it is not given.

        Raises:
            UsageError: one of these cannot be, or the job is unique: another one might stand in for
                it, which nobody waits for.
        """
        step = self._step(job, name).after(after, on_failure=on_failure)
        self._steps.append(step)
        return step

    def chain(
        self, *jobs: JobSpec[Any], after: Before = (), on_failure: OnFailure = "fail"
    ) -> Step[Any]:
        """Add jobs that run one after the other; returns the last one.

        Raises:
            UsageError: there are none, or as `add`.
        """
        if not jobs:
            raise UsageError("flow.chain() has no jobs; write flow.chain(one.job(), two.job())")
        for job in jobs:
            after = self.add(job, after=after, on_failure=on_failure)
        assert isinstance(after, Step)
        return after

    def group(
        self, jobs: Iterable[JobSpec[R]], *, after: Before = (), on_failure: OnFailure = "fail"
    ) -> list[Step[R]]:
        """Add jobs that run beside each other; something may come `after` all of them.

        Raises:
            UsageError: as `add`.
        """
        before = list(_each(after))
        steps = []
        for job in jobs:
            step = self._step(job, None)
            step.parents = dict.fromkeys(before, check_on_failure(on_failure))
            steps.append(step)
        self._steps += steps
        return steps

    def on_success(self, job: JobSpec[R]) -> Step[R]:
        """Run a job once all else is completed; if something is not, it is cancelled."""
        self._on_success.append(step := self._step(job, None))
        return step

    def on_complete(self, job: JobSpec[R]) -> Step[R]:
        """Run a job once all else is over, whatever became of it."""
        self._on_complete.append(step := self._step(job, None))
        return step

    async def enqueue(self, *, tx: object = None) -> "FlowHandle":
        """Insert all of it, or nothing, in one transaction.

        Args:
            tx: the transaction to insert in, as for `Headrace.enqueue_many`.

        Raises:
            UsageError: there is nothing in it, it goes round in a circle, or a job was refused.
            LedgerUnavailable, OutcomeUnknown: as `Headrace.enqueue_many`.
        """
        if not self._steps:
            raise UsageError("the flow is empty; add jobs by flow.add(task.job(...))")
        callbacks = callbacks_of(self._steps, self._on_success, self._on_complete)
        steps = in_order([*self._steps, *callbacks], self.name)
        ids: dict[Step[Any], UUID] = {}
        flow_ids: list[UUID] = []

        def make(new_id: Callable[[], UUID]) -> list[NewJob]:
            flow_ids.append(new_id())
            jobs = []
            for step in steps:
                ids[step] = new_id()
                after = tuple(
                    Link(one if isinstance(one, UUID) else ids[one], meaning)
                    for one, meaning in step.parents.items()
                )
                flow = Membership(flow_ids[0], self.name, step.name)
                jobs.append(linked_job(ids[step], step.spec, Links(after=after, flow=flow)))
            return jobs

        made = await self._home.put(make, tx)
        handles = dict(zip(steps, made, strict=True))
        return FlowHandle(self._home, flow_ids[0], handles)

    def enqueue_sync(self, *, tx: object = None) -> "FlowHandle":
        """As `enqueue`, where no event loop runs."""
        return self._home.call_sync(lambda: self.enqueue(tx=tx), "await flow.enqueue(...)")

    def _step(self, job: JobSpec[R], name: str | None) -> Step[R]:
        checked(job, "a flow", "flow.add(task.job(1))")
        called = job.task.name if name is None else check_text("the name of a step", name, least=1)
        if job.settings.unique is not None:
            raise UsageError(
                f'step "{called}" of a flow is unique, so that another job might stand in for it, '
                "which nobody waits for; leave unique and idempotency_key out"
            )
        return Step(called, job)


class FlowHandle:
    """A flow that was enqueued.

    Attributes:
        id: of the flow.
        jobs: its jobs by their steps, those that come first before others.
    """

    def __init__(self, home: Home, flow_id: UUID, jobs: Mapping[Step[Any], JobHandle[Any]]) -> None:
        self._home = home
        self.id = flow_id
        self.jobs: Mapping[Step[Any], JobHandle[Any]] = jobs

    def __repr__(self) -> str:
        return f"<flow {self.id}>"

    def __getitem__(self, step: Step[R]) -> JobHandle[R]:
        """The job of a step."""
        return self.jobs[step]

    async def refresh(self) -> FlowSeen:
        """How all of it is now.

        Raises:
            UnknownFlow: there is no such flow (yet).
            LedgerUnavailable: PostgreSQL cannot be reached.
        """
        return await self._home.engine.inspector.flows.get(self.id)

    async def cancel(self, reason: str = "") -> int:
        """Cancel all that is not over; what runs is asked to end. Returns how many jobs.

        Raises:
            UnknownFlow: there is no such flow (yet).
        """
        flows = self._home.engine.inspector.flows
        answers = await flows.cancel(self.id, self._home.actor, reason)
        return sum(answer in _HEARD for answer in answers.values())

    async def retry(self) -> int:
        """Let what is dead or was cancelled come again, each after its parents. Returns how many.

        Raises:
            UnknownFlow: there is no such flow (yet).
        """
        return len(await self._home.engine.inspector.flows.retry(self.id, self._home.actor))

    def refresh_sync(self) -> FlowSeen:
        """As `refresh`, where no event loop runs."""
        return self._home.call_sync(self.refresh, "await flow.refresh()")

    def cancel_sync(self, reason: str = "") -> int:
        """As `cancel`, where no event loop runs."""
        return self._home.call_sync(lambda: self.cancel(reason), "await flow.cancel()")

    def retry_sync(self) -> int:
        """As `retry`, where no event loop runs."""
        return self._home.call_sync(self.retry, "await flow.retry()")


def _each(parents: object) -> Iterable[Step[Any] | UUID]:
    if isinstance(parents, Step):
        return (parents,)
    if isinstance(parents, JobHandle):
        return (parents.id,)
    if isinstance(parents, str | bytes) or not isinstance(parents, Iterable):
        raise UsageError(f"a step comes after {_BEFORE}, not {shown(parents)}")
    return [one for parent in parents for one in _each(_one(parent))]


def _one(parent: object) -> Step[Any] | JobHandle[Any]:
    if isinstance(parent, Step | JobHandle):
        return parent
    raise UsageError(f"a step comes after {_BEFORE}, not {shown(parent)}")
