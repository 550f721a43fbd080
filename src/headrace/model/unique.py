"""Which jobs are one and the same, for how long, and what becomes of a second one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, Self, get_args

from headrace.errors import UsageError
from headrace.model.duration import Duration, parse_duration
from headrace.model.shown import shown
from headrace.model.text import check_text

Until = Literal["queued", "started", "done"]
OnConflict = Literal["return", "ignore", "raise", "replace", "debounce"]

_REPLACING = ("replace", "debounce")
_UNTIL_IT_RUNS = ("queued", "started")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unique:
    """At most one job of a task and tenant has a key, as long as that holds.

    Without `key` and `by`, jobs with equal arguments are the same.

    Attributes:
        key: what makes two jobs the same.
        by: the arguments that do.
        until: the key holds while its job is "queued" (waits to run, for the first time or again),
            until it has "started" for the first time, or until it is "done" (over, however).
            "done", where `for_` is not given either.
        for_: how long the key holds: at most, beside `until`; else whatever becomes of the job.
        on_conflict: what becomes of a job whose key is held. "return": the job that holds it is
            the answer, marked as a duplicate; where the key holds until a start, that comes after
            the commit of the call. "ignore": the same, but the job may be starting. "raise":
            `DuplicateJob`. "replace": the job that holds it gets the new arguments. "debounce": it
            gets the new time, too. The last two need `until="queued"` or `"started"`.
        per_queue: each queue has keys of its own.

    Raises:
        UsageError: something of it cannot be.
    """

    key: str | None = None
    by: Sequence[str] | None = None
    until: Until | None = None
    for_: Duration | None = None
    on_conflict: OnConflict = "return"
    per_queue: bool = False

    def __post_init__(self) -> None:
        """Check it, and read what has several forms."""
        _check_choice("until", self.until, (*get_args(Until), None))
        _check_choice("on_conflict", self.on_conflict, get_args(OnConflict))
        _check_choice("per_queue", self.per_queue, (True, False))
        if self.key is not None and self.by is not None:
            raise UsageError("Unique: key and by exclude each other; give one of them")
        if self.key is not None:
            check_text("Unique: key", self.key, least=1)
        if self.by is not None:
            object.__setattr__(self, "by", _names(self.by))
        if self.for_ is not None:
            object.__setattr__(self, "for_", _life(self.for_))
        elif self.until is None:
            object.__setattr__(self, "until", "done")
        if self.on_conflict in _REPLACING and self.until not in _UNTIL_IT_RUNS:
            raise UsageError(
                f'Unique: on_conflict="{self.on_conflict}" could not replace a job that runs, and '
                'would lose what is new; give until="started" or until="queued" with it'
            )

    @property
    def ends_at_start(self) -> bool:
        """Whether it must be known that the job has started."""
        return self.until in _UNTIL_IT_RUNS

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """What was made a document of."""
        fields = {name: value for name, value in document.items() if name != "for"}
        life = document.get("for")
        return cls(**fields, for_=None if life is None else timedelta(seconds=life))

    def document(self) -> dict[str, object]:
        """As headrace.insert_jobs takes it."""
        life = self.for_.total_seconds() if isinstance(self.for_, timedelta) else None
        said = {
            "key": self.key,
            "by": self.by,
            "until": self.until,
            "for": life,
            "per_queue": self.per_queue or None,
            "on_conflict": self.on_conflict,
        }
        return {name: value for name, value in said.items() if value is not None}


def check_unique(value: object) -> Unique | None:
    """What somebody gave as `unique=`.

    Raises:
        UsageError: it is something else.
    """
    if value is None or isinstance(value, Unique):
        return value
    raise UsageError(
        f'unique={shown(value)} is no headrace.Unique; write unique=Unique(by=["order_id"]), say'
    )


def _check_choice(name: str, value: object, choices: Sequence[object]) -> None:
    if not any(value == one and type(value) is type(one) for one in choices):
        known = ", ".join(shown(one) for one in choices)
        raise UsageError(f"Unique: {name}={shown(value)} is unknown; known: {known}")


def _names(by: object) -> tuple[str, ...]:
    names = () if isinstance(by, str | bytes) or not isinstance(by, Sequence) else tuple(by)
    if names and all(isinstance(name, str) for name in names):
        return names
    raise UsageError(f'Unique: by={shown(by)} is no list of arguments; write by=["order_id"]')


def _life(value: object) -> timedelta:
    life = parse_duration(value, "Unique: for_")
    if not life:
        raise UsageError('Unique: for_="0s" would hold for no time; give at least "1s"')
    return life
