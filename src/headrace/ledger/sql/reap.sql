-- reap: take jobs from workers that were voided; each run cut short is a crash (R1, A5).
-- What cannot have started goes back without blame.
-- Repeated at every poll, since a claim that was in flight at the judgement may commit after it.
-- Locked rows are left for the next poll: a handler that holds its row must block nobody (A7).
-- A jump through the index of owners finds those who own something: of workers that are gone there
-- may be thousands a day.
-- $1 how many at most, $2 the error of a run cut short, $3 that of a job which saw too many workers
-- die (JSON).
WITH RECURSIVE owning (id) AS (
    (SELECT j.owner FROM headrace.job j WHERE j.state = 0 AND j.owner IS NOT NULL
     ORDER BY j.owner LIMIT 1)
    UNION ALL
    SELECT beyond.owner FROM owning, LATERAL (
        SELECT j.owner FROM headrace.job j WHERE j.state = 0 AND j.owner > owning.id
        ORDER BY j.owner LIMIT 1
    ) AS beyond
), cut AS (
    SELECT j.id, w.id AS owner,
           headrace.may_have_run(w.id, w.left_with, j.id, j.gen, j.queue_id, j.claim_no) AS ran
    FROM owning JOIN headrace.worker w ON w.id = owning.id, LATERAL (
        -- Not a plain join, which may read what all the living own.
        SELECT id, gen, queue_id, claim_no FROM headrace.job
        WHERE owner = w.id AND state = 0
        LIMIT $1
        FOR NO KEY UPDATE SKIP LOCKED
    ) AS j
    WHERE w.reaped_at IS NOT NULL
    LIMIT $1
), reaped AS (
    UPDATE headrace.job j
    SET owner = NULL, gen = j.gen + 1, xid = pg_current_xact_id(), claim_no = NULL,
        crashes = j.crashes + cut.ran::int,
        state = CASE WHEN cut.ran AND headrace.spent(j.failures, j.crashes + 1, j.max_attempts,
                                                     j.rerun_on_crash)
                     THEN 3 ELSE 0 END,
        started_at = CASE WHEN cut.ran THEN j.started_at END,
        settled_at = CASE WHEN cut.ran THEN now() ELSE j.settled_at END,
        error = CASE WHEN cut.ran AND j.max_attempts > 1
                      AND headrace.spent(0, j.crashes + 1, j.max_attempts, true) THEN $3::jsonb
                     WHEN cut.ran THEN $2::jsonb ELSE j.error END
    FROM cut
    WHERE j.id = cut.id AND j.owner = cut.owner AND j.state = 0
    RETURNING j.id, j.gen, j.queue_id, j.state, cut.owner, cut.ran
), tally AS (
    INSERT INTO headrace.counter_delta (queue_id, state, n)
    SELECT queue_id, moved.state, moved.sign * count(*)
    FROM reaped, (VALUES (0, -1), (3, 1)) AS moved (state, sign)
    WHERE reaped.state = 3
    GROUP BY queue_id, moved.state, moved.sign
), history AS (
    INSERT INTO headrace.job_event (job_id, gen, kind, actor, data)
    SELECT id, gen - 1, CASE WHEN state = 3 THEN 'dead' ELSE 'crash' END, 'reaper',
           jsonb_build_object('worker', owner)
    FROM reaped WHERE ran
)
SELECT id, gen, state, queue_id FROM reaped
