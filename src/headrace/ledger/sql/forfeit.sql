-- forfeit: take jobs from a worker that cannot end them: others run them under a new generation, and
-- the run counts as cut short (A1; tests/model, twins `forfeit_is_a_release`, `forfeit_ignores_gen`).
-- Locked rows are left for the next time: the worker's beats go by the connection that asks.
-- $1 worker, $2 ids, $3 gens, $4 the error (JSON).
WITH cut AS (
    SELECT j.id, j.gen FROM unnest($2::uuid[], $3::int[]) AS v (id, gen)
    JOIN headrace.job j ON j.id = v.id AND j.gen = v.gen AND j.state = 0
     AND j.owner IS NOT DISTINCT FROM $1  -- as in release.sql
    ORDER BY j.id
    FOR NO KEY UPDATE OF j SKIP LOCKED
), taken AS (
    UPDATE headrace.job j
    SET owner = NULL, gen = j.gen + 1, xid = pg_current_xact_id(), claim_no = NULL,
        crashes = j.crashes + 1,
        state = CASE WHEN headrace.spent(j.failures, j.crashes + 1, j.max_attempts, j.rerun_on_crash)
                     THEN 3 ELSE 0 END,
        settled_at = now(), error = $4::jsonb
    FROM cut
    WHERE j.id = cut.id AND j.gen = cut.gen
    RETURNING j.id, j.gen, j.queue_id, j.state
), tally AS (
    INSERT INTO headrace.counter_delta (queue_id, state, n)
    SELECT queue_id, moved.state, moved.sign * count(*)
    FROM taken, (VALUES (0, -1), (3, 1)) AS moved (state, sign)
    WHERE taken.state = 3
    GROUP BY queue_id, moved.state, moved.sign
), history AS (
    INSERT INTO headrace.job_event (job_id, gen, kind, actor, data)
    SELECT id, gen - 1, CASE WHEN state = 3 THEN 'dead' ELSE 'crash' END, 'reaper',
           jsonb_build_object('worker', $1::uuid)
    FROM taken
)
SELECT id FROM taken
