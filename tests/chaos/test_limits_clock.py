"""Rate limits while the clock of PostgreSQL's own host is stepped."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from chaos.wallclock import WallClock, wall_clock
from headrace import RateLimit
from headrace.embedded import EmbeddedPostgres
from headrace.embedded.process import Place
from headrace.ledger.migrate import migrate
from headrace.ledger.postgres import PostgresLedger
from headrace.ledger.queries import Queries
from headrace.ledger.verify import verify
from headrace.model.job import Delivery
from headrace.model.rate import Admission, Ask, Use
from servers import QUICK, copy_postgres, postgres_template

HOUR = 3600.0
SCARCE = RateLimit("scarce", "5/10m")


@pytest.fixture
def clock(server_directory: Path) -> WallClock:
    """Where the account that runs the server may read it."""
    folder = server_directory / "clock"
    folder.mkdir(mode=0o755)
    return wall_clock(folder)


class SteppedPostgres(EmbeddedPostgres):
    """A server that goes by a clock, all of whose sessions see a step at once."""

    clock: WallClock

    def _launch(self, command: Sequence[str | Path], place: Place, *, text: str = "") -> None:
        seen = {**self.clock.environment, "FAKETIME_NO_CACHE": "1"}
        env = ["/usr/bin/env", *(f"{name}={value}" for name, value in seen.items())]
        super()._launch([*env, *command], place, text=text)


@pytest.fixture
def server(
    shared_directory: Path, server_directory: Path, clock: WallClock
) -> Iterator[EmbeddedPostgres]:
    copy_postgres(postgres_template(shared_directory), server_directory)
    server = SteppedPostgres(server_directory / "postgres", settings=QUICK)
    server.clock = clock
    with server:
        yield server


async def test_back_it_waits_and_forth_is_believed(
    server: EmbeddedPostgres, clock: WallClock
) -> None:
    await migrate(server.url)
    ledger = PostgresLedger(server.url)
    await ledger.open()
    await ledger.limiter.declare([SCARCE])
    assert await started(ledger, 6) == 5

    clock.step(f"-{HOUR:.0f}")  # what started has not yet been, and counts all the same
    late = await asked(ledger, 3)
    assert [one.put_off for one in late] == [True] * 3
    assert all(HOUR < one.wait < HOUR + 3 * 600 for one in late)

    clock.step(f"+{HOUR:.0f}")  # as if an hour had passed
    assert await started(ledger, 8) == 5
    await ledger.close()
    async with Queries(server.url) as queries:
        found = await verify(queries, quiesced=False, repair=False)
    assert {one.check.name: one.breaches for one in found if one.breaches} == {}


async def started(ledger: PostgresLedger, n: int) -> int:
    return sum(not one.put_off for one in await asked(ledger, n))


async def asked(ledger: PostgresLedger, n: int) -> list[Admission]:
    """What becomes of so many jobs that had their turn and would start now."""
    waited: dict[str, object] = {"limits": {"waited": [SCARCE.name]}}
    deliveries = [
        Delivery(
            id=ledger.new_id(),
            gen=1,
            queue="q",
            task="t",
            payload=b"{}",
            priority=5,
            failures=0,
            crashes=0,
            max_attempts=1,
            headers=waited,
        )
        for _ in range(n)
    ]
    return await ledger.limiter.admit([Ask(one, (Use(SCARCE.name, "", 1),)) for one in deliveries])
