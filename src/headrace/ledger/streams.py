"""Streams in PostgreSQL."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Sequence

import msgspec

from headrace.ledger import foreign
from headrace.ledger.faults import translated
from headrace.ledger.queries import Queries
from headrace.ledger.rows import Row
from headrace.model.stream import NewStreamEvent, Page, StreamEvent, Want


class PostgresStreams:
    """One method a statement of sql/.

    Args:
        queries: the ledger.
        at_once: how many publishers may wait for a stream that another transaction has; the other
            connections are for all else (test_streams.py, `..._keep_nothing_else_waiting`).
    """

    def __init__(self, queries: Queries, at_once: int) -> None:
        self._queries = queries
        self._places = asyncio.Semaphore(at_once)

    async def publish(self, events: Sequence[NewStreamEvent], tx: object = None) -> list[int]:
        """Append events, all or none."""
        document = msgspec.json.encode(events).decode()
        if tx is None:
            async with self._places:
                return _in_order(events, await self._queries.fetch("put_stream_events", document))
        with translated():
            return _in_order(events, await foreign.run_in(tx, "put_stream_events", document))

    async def read(self, wants: Sequence[Want], most: int) -> list[Page]:
        """The next events of each."""
        names, places = [one.stream for one in wants], [one.after for one in wants]
        pages = [Page()] * len(wants)
        found: dict[int, list[StreamEvent]] = defaultdict(list)
        for row in await self._queries.fetch("read_streams", names, places, most):
            at = row["place"] - 1
            if row["id"] is not None:
                found[at].append(_event(row, names[at]))
            pages[at] = Page(row["last"], row["gone"])
        return [page._replace(events=tuple(found[at])) for at, page in enumerate(pages)]


def _in_order(events: Sequence[NewStreamEvent], rows: Sequence[Row]) -> list[int]:
    """Of each stream they rise as they were given."""
    ids: dict[str, deque[int]] = defaultdict(deque)
    for row in sorted(rows, key=lambda row: int(row["id"])):
        ids[row["stream"]].append(row["id"])
    return [ids[event.stream].popleft() for event in events]


def _event(row: Row, stream: str) -> StreamEvent:
    data = msgspec.json.decode(row["data"])
    return StreamEvent(id=row["id"], stream=stream, kind=row["kind"], at=row["at"], data=data)
