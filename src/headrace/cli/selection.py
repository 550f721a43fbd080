"""Which jobs a command is about: ids or a filter."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from headrace.errors import UsageError
from headrace.model.duration import parse_duration
from headrace.model.inspection import JobFilter
from headrace.model.state import State


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """What a command was given to choose jobs by."""

    ids: tuple[UUID, ...] = ()
    wanted: JobFilter = JobFilter()
    everything: bool = False
    limit: int | None = None

    def among(self, *allowed: State, if_named: Sequence[State] = ()) -> "Selection":
        """The same jobs, in these states only; `if_named`: in some only where they are asked for.

        Raises:
            UsageError: neither ids nor a filter are given, or both, or other states are asked for.
        """
        chosen = self.wanted != JobFilter() or self.everything
        if self.ids and chosen:
            raise UsageError("both ids and a filter are given; choose one")
        if not self.ids and not chosen:
            raise UsageError(
                "which jobs? give ids, or choose with --queue, --task, --state and the like, "
                "or say --all"
            )
        return msgspec.structs.replace(self, wanted=self.wanted.among(*allowed, if_named=if_named))

    def words(self) -> str:
        """The jobs, for a question to a person."""
        given = [
            f"{name} {value}"
            for name, value in msgspec.structs.asdict(self.wanted).items()
            if value is not None and name != "states"
        ]
        states = " or ".join(self.wanted.states)
        return f"all {states} jobs" + (f" with {', '.join(given)}" if given else "")


def job_filter(
    *,
    states: Sequence[State] | None = None,
    queue: str | None = None,
    task: str | None = None,
    tenant: str | None = None,
    since: str | None = None,
    until: str | None = None,
    error: str | None = None,
    log: str | None = None,
) -> JobFilter:
    """The filter that the options of a command make.

    Raises:
        UsageError: a time cannot be read.
    """
    return JobFilter(
        states=tuple(states or ()),
        queue=queue,
        task=task,
        tenant=tenant,
        since=_instant("since", since),
        until=_instant("until", until),
        error=error,
        log=log,
    )


def job_ids(texts: Sequence[str] | None, of: str = "a job") -> tuple[UUID, ...]:
    """Ids from the command line, of jobs or of something else.

    Raises:
        UsageError: one is no UUID.
    """
    try:
        return tuple(dict.fromkeys(UUID(text) for text in texts or ()))
    except ValueError:
        wrong = next(text for text in texts or () if not _is_id(text))
        raise UsageError(f"{wrong!r} is not the id of {of}; ids are UUIDs") from None


def _instant(name: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        pass  # then it is how long ago
    try:
        return datetime.now(UTC) - parse_duration(text, name)
    except UsageError:
        raise UsageError(
            f'--{name}={text!r} is no time; write "2h" for so long ago, or 2026-01-31T08:00'
        ) from None


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
