"""One snapshot, for machines and for an output that is no terminal."""

import asyncio
from collections.abc import Sequence

import msgspec

from headrace.cli.lane import as_document, as_sentence
from headrace.cli.output import print_json, print_table, say
from headrace.cli.top.rates import Rate, Rates
from headrace.cli.top.reading import EVERY, read
from headrace.cli.top.tables import (
    QUEUE_COLUMNS,
    WORKER_COLUMNS,
    per_second,
    queue_row,
    relay_sentence,
    worker_row,
)
from headrace.model.fleet import Fleet
from headrace.model.inspection import QueueCounts
from headrace.ports.inspector import Inspector


async def print_snapshot(inspector: Inspector, *, as_json: bool) -> None:
    """Look twice, since rates need that, and print what was seen."""
    rates = Rates()
    await read(inspector, rates)
    await asyncio.sleep(EVERY)
    queues, fleet = await read(inspector, rates)
    if as_json:
        print_json(_document(queues, fleet, rates))
    else:
        _print_tables(queues, fleet, rates)


def _document(queues: Sequence[QueueCounts], fleet: Fleet, rates: Rates) -> dict[str, object]:
    return {
        "jobs_per_second": rates.ended,
        "queues": [_queue(one, rates.queues.get(one.queue, Rate())) for one in queues],
        "lane": as_document(fleet.lane),
        "workers": fleet.workers,
        "leaders": fleet.leaders,
    }


def _queue(counts: QueueCounts, rate: Rate) -> dict[str, object]:
    rates = {"in_per_second": rate.came, "out_per_second": rate.ended}
    return msgspec.structs.asdict(counts) | rates


def _print_tables(queues: Sequence[QueueCounts], fleet: Fleet, rates: Rates) -> None:
    say(as_sentence(fleet.lane))
    say(relay_sentence(fleet))
    say(f"{per_second(rates.ended)} jobs/s")
    queue_rows = [queue_row(one, rates.queues.get(one.queue)) for one in queues]
    worker_rows = [worker_row(one) for one in fleet.workers]
    for columns, rows in ((QUEUE_COLUMNS, queue_rows), (WORKER_COLUMNS, worker_rows)):
        say("")
        numbers = [one.name for one in columns if one.number]
        print_table([one.name for one in columns], rows, numbers=numbers)
