"""Finished jobs of the last days, as the ledger would hold them, made by the server itself."""

import asyncpg

_DAYS = 7
_PARTITIONS = """
SELECT headrace.add_partition((now() AT TIME ZONE 'UTC')::date - n) FROM generate_series(2, $1) AS n
"""
_QUEUE = "INSERT INTO headrace.queue (name) VALUES ('q0') ON CONFLICT (name) DO NOTHING"
# Ids of UUIDv7 order; the oldest lies some hours after the first partition begins.
_FILL = """
WITH done AS (
    SELECT now() - (($1::bigint - n)::float8 / $1) * $2::int * interval '1 day' AS at,
           replace(gen_random_uuid()::text, '-', '') AS noise
    FROM generate_series(1, $1::bigint) AS n
)
INSERT INTO headrace.job (id, settled_by, run_at, started_at, settled_at, queue_id, gen,
                          settled_gen, state, priority, max_attempts, task, tenant, payload)
SELECT (lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0')
        || '7' || substr(noise, 14))::uuid,
       w.id, at, at, at + interval '10 milliseconds', q.id, 2, 2, 2, 5, 3, 'noop', 't0', $3::jsonb
FROM done, headrace.queue q, (SELECT gen_random_uuid() AS id) AS w
WHERE q.name = 'q0'
"""
_COUNT = """
INSERT INTO headrace.counter (queue_id, state, n)
SELECT id, 2, $1::bigint FROM headrace.queue WHERE name = 'q0'
"""


async def fill_history(connection: "asyncpg.Connection[asyncpg.Record]", n: int) -> None:
    """Insert finished jobs, the same number for each of the last days, and vacuum."""
    if n == 0:
        return
    await connection.execute(_QUEUE)
    await connection.execute(_PARTITIONS.replace("$1", str(_DAYS)))
    payload = '{"filling": "' + "x" * 185 + '"}'
    await connection.execute(_FILL, n, _DAYS, payload)
    await connection.execute(_COUNT, n)
    await connection.execute("VACUUM ANALYZE")
