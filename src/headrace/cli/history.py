"""The history of a job, for a person."""

from collections.abc import Iterable, Sequence
from itertools import groupby

import msgspec

from headrace.cli.output import at
from headrace.model.inspection import JobEvent


def history_rows(history: Iterable[JobEvent]) -> list[tuple[str, str, str, str]]:
    """When, what, by whom and what else; snoozes in a row are one line."""
    rows = []
    for kind, group in groupby(history, lambda event: event.kind):
        events = list(group)
        if kind == "snooze" and len(events) > 1:
            rows.append(_snoozes(events))
        else:
            rows += [(at(one.at), one.kind, one.actor, brief(data_of(one))) for one in events]
    return rows


def data_of(event: JobEvent) -> dict[str, object]:
    """What an event tells: an error, or other names and values."""
    return {} if event.data is None else msgspec.json.decode(event.data, type=dict[str, object])


def brief(data: dict[str, object]) -> str:
    """An error or other data, in a line."""
    if "type" in data:
        took = f" (after {data['ran']} s)" if "ran" in data else ""
        return f"{data['type']}: {data.get('message')}{took}"
    return " ".join(f"{name}={value}" for name, value in data.items())


def _snoozes(events: Sequence[JobEvent]) -> tuple[str, str, str, str]:
    last = events[-1]
    told = f"{len(events):,} times, the last at {at(last.at)}"
    return at(events[0].at), last.kind, last.actor, told
