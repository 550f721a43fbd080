"""How schedules are printed."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from headrace.model.schedule import Schedule
    from headrace.model.timing import Timing


def tell(found: "Schedule", *, as_json: bool) -> None:
    """Print a schedule as it is now."""
    from headrace.cli.output import print_json, print_pairs

    upcoming = found.upcoming(3)
    if as_json:
        print_json({"schedule": found, "upcoming": upcoming})
    else:
        print_pairs(pairs(found, upcoming))


def pairs(found: "Schedule", upcoming: "list[datetime]") -> list[tuple[str, str]]:
    """What is known of a schedule, with its next ticks."""
    import msgspec

    from headrace.cli.output import at

    job = {name: value for name, value in found.job.items() if name != "task"}
    timing = found.timing
    lines = [
        ("schedule", found.name),
        ("task", found.task),
        ("job", msgspec.json.encode(job).decode()),
        ("when", when(timing)),
        ("start", at(timing.start)),
        ("end", at(timing.end)),
        ("limit", "" if timing.limit is None else f"{timing.limit:,}"),
        ("jitter", f"{timing.jitter}" if timing.jitter else ""),
        ("catch-up", timing.catch_up),
        ("declared by", found.app or ""),
        ("condition", notes(found) or found.condition),
        ("made", f"{found.made:,}"),
        ("last tick", in_its_zone(found.last_tick, timing)),
        ("last job", "" if found.last_job is None else str(found.last_job)),
        *(("next" if one == upcoming[0] else "", in_its_zone(one, timing)) for one in upcoming),
    ]
    return [line for line in lines if line[1]]


def when(timing: "Timing") -> str:
    """When it ticks."""
    if timing.every is not None:
        return f"every {_words(timing.every.total_seconds())}"
    return f"{timing.cron} {timing.tz}"


def _words(seconds: float) -> str:
    """A duration as it would be written: in the largest units."""
    words = ""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        n, seconds = divmod(seconds, size)
        words += f"{n:.0f}{unit}" if n else ""
    return f"{words}{seconds:g}s" if seconds else words


def notes(found: "Schedule") -> str:
    """What is not as usual."""
    words = [] if found.condition == "active" else [str(found.condition)]
    words += ["edited"] * found.edited
    words += [f"refused: {found.error}"] if found.error else []
    return ", ".join(words)


def in_its_zone(time: "datetime | None", timing: "Timing") -> str:
    """A time in the zone of the schedule."""
    from headrace.model.timing import zone_of

    return "" if time is None else f"{time.astimezone(zone_of(timing.tz)):%Y-%m-%d %H:%M:%S %z}"
