"""What visitors do: many small events, one INSERT for many of them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated
from uuid import uuid4

import asyncpg

from headrace import Context, Depends, injected
from headrace.contrib import presets
from storefront.shop import app


@dataclass(frozen=True)
class Happening:
    """One event."""

    kind: str
    what: str


@app.lifespan
async def pool() -> AsyncIterator[asyncpg.Pool]:
    """Connections of the shop's own, once a worker process."""
    async with asyncpg.create_pool(app.settings.database_url, min_size=1, max_size=4) as opened:
        yield opened


# Two attempts, and a queue that does not wait for the disk: losing one is no harm.
@app.task(**presets.ANALYTICS, batch=200, batch_wait="100ms")
async def track(
    contexts: list[Context],
    happenings: list[Happening],
    database: Annotated[asyncpg.Pool, Depends(pool)] = injected,
) -> None:
    """Insert them; those that a worker which died has inserted before are left alone."""
    await database.execute(
        """INSERT INTO storefront.happening
           SELECT id, kind, what, $4 FROM unnest($1::uuid[], $2::text[], $3::text[])
               AS one (id, kind, what)
           ON CONFLICT DO NOTHING""",
        [ctx.job_id for ctx in contexts],
        [happening.kind for happening in happenings],
        [happening.what for happening in happenings],
        uuid4(),
    )
