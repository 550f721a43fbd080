-- claim: give due jobs of a queue to a worker, each under a new generation (R1, A4).
-- $1 queue id, $2 how many, $3 worker, $4 the worker's call number,
-- $5 levels, $6 their passes, $7 their strides (model/priority.py), $8 and $9 the run_at and id
-- after which to look in each (cursor.py), $10 whether the jobs are taken ahead of free slots. The
-- generation that was locked is tested again, rather than
-- state and owner: those would let the planner join by a partial index of all live jobs.
-- Only in direct mode; right after a switch to it, rows that may lie in the lane wait (A4).
-- A claim that commits after its worker was reaped is undone by the next reap, which repeats.
WITH level AS (
    SELECT l.priority, l.pass, l.stride, l.since, l.after, lane.calm, lane.fence
    FROM headrace.queue q, headrace.lane,
         unnest($5::smallint[], $6::float8[], $7::float8[], $8::timestamptz[], $9::uuid[])
           AS l (priority, pass, stride, since, after)
    WHERE q.id = $1 AND NOT q.paused AND lane.name = 'main' AND lane.mode = 'direct'
), busy AS (
    SELECT level.* FROM level, LATERAL (
        SELECT FROM headrace.job j
        WHERE j.queue_id = $1 AND j.priority = level.priority
          AND (j.run_at, j.id) > (level.since, level.after)
          AND j.state = 0 AND j.owner IS NULL AND j.run_at <= now()
          AND (level.calm OR j.xid >= level.fence)
        ORDER BY j.run_at, j.id
        LIMIT 1
    ) AS first
), share AS (
    -- A level that has no rival needs no ranking, which would read each of its rows once more.
    SELECT priority, since, after, calm, fence, $2::bigint AS n
    FROM busy WHERE (SELECT count(*) FROM busy) = 1
    UNION ALL
    SELECT pick.priority, pick.since, pick.after, pick.calm, pick.fence, count(*) AS n
    FROM (
        SELECT level.*
        FROM busy AS level, LATERAL (
            SELECT row_number() OVER () AS k
            FROM (
                SELECT FROM headrace.job j
                WHERE j.queue_id = $1 AND j.priority = level.priority
                  AND (j.run_at, j.id) > (level.since, level.after)
                  AND j.state = 0 AND j.owner IS NULL AND j.run_at <= now()
                  AND (level.calm OR j.xid >= level.fence)
                ORDER BY j.run_at, j.id
                LIMIT $2
            ) AS waiting
        ) AS rank
        WHERE (SELECT count(*) FROM busy) > 1
        ORDER BY level.pass + rank.k * level.stride, level.priority
        LIMIT $2
    ) AS pick
    GROUP BY pick.priority, pick.since, pick.after, pick.calm, pick.fence
), due AS (
    SELECT locked.id, locked.gen
    FROM share, LATERAL (
        SELECT j.id, j.gen FROM headrace.job j
        WHERE j.queue_id = $1 AND j.priority = share.priority
          AND (j.run_at, j.id) > (share.since, share.after)
          AND j.state = 0 AND j.owner IS NULL AND j.run_at <= now()
          AND (share.calm OR j.xid >= share.fence)
        ORDER BY j.run_at, j.id
        LIMIT share.n
        FOR NO KEY UPDATE SKIP LOCKED
    ) AS locked
), ahead AS (
    INSERT INTO headrace.prefetch (worker, queue_id, claim_no)
    SELECT $3, $1, $4 WHERE $10 AND EXISTS (SELECT FROM due)
    ON CONFLICT (worker, queue_id) DO UPDATE SET claim_no = excluded.claim_no
)
UPDATE headrace.job j
SET gen = j.gen + 1, owner = $3, claim_no = $4, started_at = now()
FROM due
WHERE j.id = due.id AND j.gen = due.gen
RETURNING j.id, j.gen, j.task, j.payload::text, j.priority, j.failures, j.crashes, j.max_attempts,
          j.tenant, j.rerun_on_crash, j.headers::text, j.run_at
