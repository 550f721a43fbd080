-- bump: take jobs from workers whose lease in the lane is over (R1, A5). Only under the lane's own
-- epoch, held for as long as this takes (A7): an expiry seen before a loss of data says nothing.
-- $1 epoch, $2 ids, $3 gens.
WITH lane AS (
    SELECT FROM headrace.lane WHERE name = 'main' AND epoch = $1 AND mode = 'hybrid' FOR SHARE
), cut AS (
    SELECT j.id, j.gen FROM lane, unnest($2::uuid[], $3::int[]) AS v (id, gen)
    JOIN headrace.job j ON j.id = v.id AND j.gen = v.gen AND j.state = 0 AND j.owner IS NULL
    ORDER BY j.id
    FOR NO KEY UPDATE OF j SKIP LOCKED
), bumped AS (
    UPDATE headrace.job j
    SET gen = j.gen + 1, xid = pg_current_xact_id(), crashes = j.crashes + 1,
        state = CASE WHEN CASE WHEN j.rerun_on_crash
                               THEN j.crashes + 1 >= 3 OR j.failures >= j.max_attempts
                               ELSE j.failures + j.crashes + 1 >= j.max_attempts END
                     THEN 3 ELSE 0 END,
        settled_at = now(),
        error = jsonb_build_object('type', 'WorkerLost', 'message', 'the worker died during the attempt')
    FROM cut
    WHERE j.id = cut.id AND j.gen = cut.gen
    RETURNING j.id, j.gen, j.queue_id, j.state
), tally AS (
    INSERT INTO headrace.counter_delta (queue_id, state, n)
    SELECT queue_id, moved.state, moved.sign * count(*)
    FROM bumped, (VALUES (0, -1), (3, 1)) AS moved (state, sign)
    WHERE bumped.state = 3
    GROUP BY queue_id, moved.state, moved.sign
), history AS (
    INSERT INTO headrace.job_event (job_id, gen, kind, actor)
    SELECT id, gen - 1, CASE WHEN state = 3 THEN 'dead' ELSE 'crash' END, 'reaper'
    FROM bumped
)
SELECT id FROM bumped
