"""The options of tasks and of single jobs, as users write them and as they are kept."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import partial
from typing import Any, Literal, TypedDict

from headrace.errors import UsageError
from headrace.model.attempts import check_attempts
from headrace.model.concurrency import ConcurrencyLimit
from headrace.model.duration import Duration, parse_duration
from headrace.model.expiry import EXPIRES, as_header
from headrace.model.job import CLAIM, Headers
from headrace.model.key_template import check_template
from headrace.model.links import OnDead, check_on_dead
from headrace.model.names import check_name
from headrace.model.priority import parse_priority
from headrace.model.rate import RateLimit, check_weight
from headrace.model.retry import RetryPolicy, parse_retry
from headrace.model.shown import shown
from headrace.model.text import check_text
from headrace.model.unique import Unique, check_unique

_LAST_YEAR = 9998  # the last moment of 9999 means infinity to the driver
_KEY_LIFE = timedelta(hours=24)
_ATTEMPTS = 3
_PERCENT = re.compile(r"[0-9]{1,2}(\.[0-9]+)?%")


class TaskOptions(TypedDict, total=False):
    """The options of a task.

    Attributes:
        name: how the ledger knows it; the function's name where it is not given.
        queue: where its jobs go; "default".
        priority: 1 (runs first) to 10, or a name such as "high"; 5.
        max_attempts: runs in all; 3, or what the retry preset suggests.
        timeout: of one run; "300s".
        soft_timeout: when the worker's log warns, and `ctx.on_soft_timeout` calls: so far into a
            run, or a part of the timeout, such as "80%".
        retry: when a failed job runs again: a `RetryPolicy` or a preset; "exponential".
        rerun_on_crash: with one attempt, too, a job starts again after its worker died, twice at
            most.
        middleware: what to tell the application's middleware, by the names of its options.
        executor: "process" runs each job in a process of its own, which is killed at the timeout,
            and whose crash fails that job alone; else in the worker.
        unique: which of its jobs are the same, and what becomes of a second one.
        limits: how often its jobs may start, and how many may run at once: each a `RateLimit` or a
            `ConcurrencyLimit`.
        order_key: jobs with the same one run one after the other: a text with arguments of the task
            in it, such as "{customer}".
        on_dead: what a dead one means to those behind it: "block" (the default) or "skip".
        expires: as for single jobs.
    """

    name: str | None
    queue: str
    priority: int | str
    max_attempts: int
    timeout: Duration
    soft_timeout: Duration | None
    retry: RetryPolicy | str
    rerun_on_crash: bool
    middleware: Mapping[str, object]
    executor: Literal["process"] | None
    unique: Unique | None
    limits: Sequence[RateLimit | ConcurrencyLimit]
    order_key: str | None
    on_dead: OnDead
    expires: Duration | datetime | None


class BatchOptions(TaskOptions, total=False):
    """The options of a task whose handler takes many jobs in one call: those of any, and these.

    Attributes:
        batch: how many jobs a call takes at most, 1 to 1,000.
        batch_wait: how long the first of them waits for others; "50ms".
    """

    batch: int
    batch_wait: Duration


class JobOptions(TypedDict, total=False):
    """The options of single jobs.

    Attributes:
        delay: from now, at most ten years.
        run_at: not before, an aware datetime; a past one runs now.
        priority: as for the task.
        queue: another queue than the task's.
        max_attempts: as for the task.
        idempotency_key: a job of the task with this key exists at most once a while, whatever
            becomes of it; deleting the job frees the key.
        idempotency_for: how long a while is; "24h".
        unique: as for the task; None: not unique.
        tenant: whose job it is.
        limit_key: what it counts for in limits with a key, whatever their template says.
        limit_weight: how many starts it counts for in rate limits.
        order_key: jobs of a tenant and queue with the same one run one after the other, in the
            order in which they were committed; None: whatever the task says, in no order.
        on_dead: what its death means to those behind it: "block", they wait until it is replayed or
            deleted, or "skip".
        expires: so long after it was made, or at an aware datetime, it does not start any more: it
            is cancelled instead, by the next worker that gets it. None: never.
        tx: the transaction to insert in, as for `Task.enqueue`.
    """

    delay: Duration
    run_at: datetime
    priority: int | str
    queue: str
    max_attempts: int
    idempotency_key: str
    idempotency_for: Duration
    unique: Unique | None
    tenant: str
    limit_key: str
    limit_weight: int
    order_key: str | None
    on_dead: OnDead
    expires: Duration | datetime | None
    tx: object


@dataclass(frozen=True, slots=True)
class JobSettings:
    """What is decided of a job besides its task and arguments."""

    queue: str
    priority: int
    max_attempts: int
    rerun_on_crash: bool = False
    delay: timedelta | None = None
    run_at: datetime | None = None
    unique: Unique | None = None
    tenant: str = ""
    limit_key: str | None = None
    limit_weight: int | None = None
    order_template: str | None = None
    order_key: str | None = None
    on_dead: OnDead = "block"
    expires: timedelta | datetime | None = None

    @property
    def headers(self) -> Headers | None:
        """What rare options say on the way to the worker; None for all but rare jobs."""
        weight = {"key": self.limit_key, "weight": self.limit_weight}
        limits = {name: value for name, value in weight.items() if value is not None}
        claimed = self.unique is not None and self.unique.ends_at_start
        said: Headers = {
            **({CLAIM: True} if claimed else {}),
            **({"limits": limits} if limits else {}),
            **({} if self.expires is None else {EXPIRES: as_header(self.expires)}),
        }
        return said or None


@dataclass(frozen=True, slots=True)
class TaskSettings:
    """A task's options, read."""

    name: str
    job: JobSettings
    timeout: timedelta
    soft_timeout: timedelta | None
    retry: RetryPolicy
    in_process: bool
    limits: tuple[RateLimit, ...]
    concurrency: tuple[ConcurrencyLimit, ...]
    middleware: Mapping[str, object]


def read_task_options(options: TaskOptions, function_name: str) -> TaskSettings:
    """Read the options of a task.

    Raises:
        UsageError: one is unknown or has a value that cannot be.
    """
    refuse_unknown("option of a task", options, TaskOptions.__annotations__)
    retry = parse_retry(options.get("retry", "exponential"))
    timeout = parse_duration(options.get("timeout", "300s"), "timeout")
    rates, concurrency = read_limits(options.get("limits", ()))
    if not timeout:
        raise UsageError('timeout="0s" leaves no time to run; give at least "1ms"')
    suggested = retry.max_attempts or _ATTEMPTS
    return TaskSettings(
        name=check_name("task", options.get("name") or function_name),
        retry=retry,
        timeout=timeout,
        soft_timeout=_soft(options.get("soft_timeout"), timeout),
        in_process=_in_process(options.get("executor")),
        limits=rates,
        concurrency=concurrency,
        middleware=_told(options.get("middleware", {})),
        job=JobSettings(
            queue=check_name("queue", options.get("queue", "default")),
            priority=parse_priority(options.get("priority", 5)),
            max_attempts=check_attempts(options.get("max_attempts", suggested)),
            rerun_on_crash=_flag("rerun_on_crash", options.get("rerun_on_crash", False)),
            unique=check_unique(options.get("unique")),
            order_template=check_template("order_key", options.get("order_key")),
            on_dead=check_on_dead(options.get("on_dead", "block")),
            expires=_expiry(options.get("expires")),
        ),
    )


def read_job_options(options: JobOptions, settings: JobSettings) -> JobSettings:
    """The settings of a job: those of its task, changed by options (`tx` is not one of them).

    Raises:
        UsageError: one is unknown or has a value that cannot be.
    """
    refuse_unknown("option of a job", options, JobOptions.__annotations__)
    if "delay" in options and "run_at" in options:
        raise UsageError("delay and run_at exclude each other; give one of them")
    given: Mapping[str, Any] = dict(options)
    changes = {name: _READERS[name](given[name]) for name in given if name in _READERS}
    if "order_key" in options:
        changes["order_template"] = None
    if "idempotency_key" in options:
        changes["unique"] = _once(options)
    elif "idempotency_for" in options:
        raise UsageError("idempotency_for needs an idempotency_key to hold for")
    return _in_time(replace(settings, **changes))


def read_limits(
    value: object,
) -> tuple[tuple[RateLimit, ...], tuple[ConcurrencyLimit, ...]]:
    """The limits of a task or queue: those of rates, and those of concurrency.

    Raises:
        UsageError: one is neither, or named twice.
    """
    if isinstance(value, str | RateLimit | ConcurrencyLimit) or not isinstance(value, Iterable):
        raise UsageError(
            f'limits={shown(value)} is no list; write limits=[RateLimit("stripe", "10/s")]'
        )
    limits = tuple(value)
    for one in limits:
        if not isinstance(one, RateLimit | ConcurrencyLimit):
            raise UsageError(
                f'{shown(one)} is no limit; write RateLimit("stripe", "10/s") or '
                'ConcurrencyLimit("reports", 5)'
            )
    names = [one.name for one in limits]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f'limit "{name}" is given twice; one job counts once for it')
    return (
        tuple(one for one in limits if isinstance(one, RateLimit)),
        tuple(one for one in limits if isinstance(one, ConcurrencyLimit)),
    )


def refuse_unknown(kind: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Refuse names that are not known.

    Raises:
        UsageError: it names the first unknown one and the nearest known.
    """
    for name in given:
        if name not in known:
            near = get_close_matches(name, known, 1, 0.5)
            hint = f'did you mean "{near[0]}"?' if near else f"known: {', '.join(known)}"
            raise UsageError(f'"{name}" is no {kind}; {hint}')


def _in_process(value: object) -> bool:
    if value is None or value == "process":
        return value is not None
    raise UsageError(
        f'executor={shown(value)} is no executor; write "process", or leave it out to run in the '
        "worker"
    )


def _soft(value: object, timeout: timedelta) -> timedelta | None:
    if value is None:
        return None
    if isinstance(value, str) and _PERCENT.fullmatch(value):
        soft = timeout * (float(value[:-1]) / 100)
    else:
        soft = parse_duration(value, "soft_timeout")
    if timedelta() < soft < timeout:
        return soft
    raise UsageError(
        f"soft_timeout={shown(value)} does not lie within the timeout of {timeout}; give less than "
        'that, or a part of it such as "80%"'
    )


def _told(value: object) -> Mapping[str, object]:
    if isinstance(value, Mapping):
        return value
    raise UsageError(
        f'middleware={shown(value)} is no mapping; write middleware={{"name of an option": value}}'
    )


def _flag(name: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise UsageError(f"{name}={shown(value)} must be True or False")


def _order_key(value: object) -> str | None:
    return None if value is None else check_text("order_key", value, least=1)


def _once(options: JobOptions) -> Unique:
    """An idempotency key is a unique key for a window."""
    if "unique" in options:
        raise UsageError("idempotency_key and unique exclude each other; give one of them")
    key = check_text("idempotency_key", options.get("idempotency_key"), least=1)
    return Unique(key=key, for_=_life(options.get("idempotency_for", _KEY_LIFE)))


def _life(value: object) -> timedelta:
    life = parse_duration(value, "idempotency_for")
    if not life:
        raise UsageError('idempotency_for="0s" would hold for no time; give at least "1s"')
    return life


def _expiry(value: object) -> timedelta | datetime | None:
    if value is None:
        return None
    if isinstance(value, datetime):
        return _instant(value, "expires")
    life = parse_duration(value, "expires")
    if not life:
        raise UsageError('expires="0s" leaves no time to start; give at least "1ms"')
    return life


def _in_time(settings: JobSettings) -> JobSettings:
    """Refuse what would expire before it is due."""
    last = settings.expires
    too_early = (
        settings.delay is not None and last <= settings.delay
        if isinstance(last, timedelta)
        else last is not None and settings.run_at is not None and last <= settings.run_at
    )
    if too_early:
        raise UsageError(
            f"the job would expire ({last}) before it is due ({settings.delay or settings.run_at})"
            "; give it more time, which counts from now, as delay does"
        )
    return settings


def _instant(value: object, name: str = "run_at") -> datetime:
    if not isinstance(value, datetime):
        raise UsageError(
            f"{name}={shown(value)} is not a datetime; use delay for a duration from now"
        )
    if value.utcoffset() is None:
        raise UsageError(
            f"{name}={value.isoformat()} has no time zone; "
            "add one, such as datetime(..., tzinfo=UTC) or .astimezone()"
        )
    try:
        moment = value.astimezone(UTC)
    except OverflowError:
        moment = None
    if moment is None or moment.year > _LAST_YEAR:
        raise UsageError(
            f"{name}={value.isoformat()} lies outside of the years 1 to {_LAST_YEAR} in UTC; "
            "choose a time within"
        )
    return moment


_READERS: dict[str, Callable[[object], Any]] = {
    "delay": partial(parse_duration, name="delay"),
    "run_at": _instant,
    "priority": parse_priority,
    "queue": partial(check_name, "queue"),
    "max_attempts": check_attempts,
    "unique": check_unique,
    "tenant": partial(check_text, "tenant"),
    "limit_key": partial(check_text, "limit_key"),
    "limit_weight": check_weight,
    "order_key": _order_key,
    "on_dead": check_on_dead,
    "expires": _expiry,
}
