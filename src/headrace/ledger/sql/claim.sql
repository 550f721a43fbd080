-- claim: give due jobs of a queue to a worker, each under a new generation (R1, A4).
-- $1 queue id, $2 how many, $3 worker, $4 the worker's call number,
-- $5 levels, $6 their passes, $7 their strides (model/priority.py).
-- A claim that commits after its worker was reaped is undone by the next reap, which repeats.
WITH level AS (
    SELECT l.priority, l.pass, l.stride
    FROM headrace.queue q,
         unnest($5::smallint[], $6::float8[], $7::float8[]) AS l (priority, pass, stride)
    WHERE q.id = $1 AND NOT q.paused
), share AS (
    SELECT pick.priority, count(*) AS n
    FROM (
        SELECT level.priority
        FROM level, LATERAL (
            SELECT row_number() OVER () AS k
            FROM (
                SELECT FROM headrace.job j
                WHERE j.queue_id = $1 AND j.priority = level.priority
                  AND j.state = 0 AND j.owner IS NULL AND j.run_at <= now()
                ORDER BY j.run_at, j.id
                LIMIT $2
            ) AS waiting
        ) AS rank
        ORDER BY level.pass + rank.k * level.stride, level.priority
        LIMIT $2
    ) AS pick
    GROUP BY pick.priority
), due AS (
    SELECT locked.id
    FROM share, LATERAL (
        SELECT j.id FROM headrace.job j
        WHERE j.queue_id = $1 AND j.priority = share.priority
          AND j.state = 0 AND j.owner IS NULL AND j.run_at <= now()
        ORDER BY j.run_at, j.id
        LIMIT share.n
        FOR NO KEY UPDATE SKIP LOCKED
    ) AS locked
)
UPDATE headrace.job j
SET gen = j.gen + 1, owner = $3, claim_no = $4, started_at = now()
FROM due
WHERE j.id = due.id AND j.state = 0 AND j.owner IS NULL
RETURNING j.id, j.gen, j.task, j.payload::text, j.priority, j.failures, j.crashes, j.max_attempts,
          j.tenant
