-- replay: dead letters are available again, as if they had never run; their last error goes into
-- their history. $1 ids, $2 actor. Whoever comes second finds no dead row.
WITH letter AS (
    SELECT id, error FROM headrace.job
    WHERE id = ANY ($1::uuid[]) AND state = 3
    ORDER BY id
    FOR NO KEY UPDATE SKIP LOCKED
), replayed AS (
    UPDATE headrace.job j
    SET state = 0, gen = j.gen + 1, xid = pg_current_xact_id(), run_at = now(), owner = NULL,
        claim_no = NULL, failures = 0, crashes = 0, snoozes = 0, started_at = NULL,
        settled_at = NULL, error = NULL
    FROM letter
    WHERE j.id = letter.id AND j.state = 3
    RETURNING j.id, j.gen, j.queue_id, letter.error
), forgotten AS (
    DELETE FROM headrace.cancellation WHERE job_id IN (SELECT id FROM letter)
), tally AS (
    INSERT INTO headrace.counter_delta (queue_id, state, n)
    SELECT queue_id, moved.state, moved.sign * count(*)
    FROM replayed, (VALUES (3, -1), (0, 1)) AS moved (state, sign)
    GROUP BY queue_id, moved.state, moved.sign
), history AS (
    INSERT INTO headrace.job_event (job_id, gen, kind, actor, data)
    SELECT id, gen - 1, 'replay', $2::text, error FROM replayed
)
SELECT id FROM replayed
