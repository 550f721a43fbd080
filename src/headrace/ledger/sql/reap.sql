-- reap: take jobs from workers that were voided; each run cut short counts as an attempt (R1, A5).
-- Repeated at every poll, since a claim that was in flight at the judgement may commit after it.
-- Locked rows are left for the next poll: a handler that holds its row must block nobody (A7).
-- $1 how many at most.
WITH cut AS (
    SELECT j.id, j.owner FROM headrace.worker w
    JOIN headrace.job j ON j.owner = w.id AND j.state = 0
    WHERE w.reaped_at IS NOT NULL
    LIMIT $1
    FOR NO KEY UPDATE OF j SKIP LOCKED
), reaped AS (
    UPDATE headrace.job j
    SET owner = NULL, gen = j.gen + 1, xid = pg_current_xact_id(), crashes = j.crashes + 1,
        claim_no = NULL,
        state = CASE WHEN CASE WHEN j.rerun_on_crash
                               THEN j.crashes + 1 >= 3 OR j.failures >= j.max_attempts
                               ELSE j.failures + j.crashes + 1 >= j.max_attempts END
                     THEN 3 ELSE 0 END,
        settled_at = now(),
        error = jsonb_build_object('type', 'WorkerLost', 'message', 'the worker died during the attempt')
    FROM cut
    WHERE j.id = cut.id AND j.owner = cut.owner AND j.state = 0
    RETURNING j.id, j.gen, j.queue_id, j.state, cut.owner
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
    FROM reaped
)
SELECT id, gen, state, queue_id FROM reaped
