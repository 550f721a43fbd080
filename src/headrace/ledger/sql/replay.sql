-- replay: dead letters are available again, as if they had never run; their last error goes into
-- their history. $1 ids, $2 actor. Whoever comes second finds no dead row.
-- One that is linked to others is blocked at first: headrace.unblock then sees whether anything holds it
-- (tests/model/ordering.py, twin `replays_at_once`). Under an ordering key it comes again at its own
-- place: before all that wait, after the one whose turn it is. The key's row is locked as in an insert.
WITH letter AS (
    SELECT id, error FROM headrace.job
    WHERE id = ANY ($1::uuid[]) AND state = 3
    ORDER BY id
    FOR NO KEY UPDATE SKIP LOCKED
), replayed AS (
    UPDATE headrace.job j
    SET state = CASE WHEN j.links = 0 THEN 0 ELSE 1 END, gen = j.gen + 1, xid = pg_current_xact_id(),
        run_at = now(), owner = NULL, claim_no = NULL, failures = 0, crashes = 0, snoozes = 0,
        started_at = NULL, settled_at = NULL, error = NULL
    FROM letter
    WHERE j.id = letter.id AND j.state = 3
    RETURNING j.id, j.gen, j.queue_id, j.state, j.tenant, j.headers -> 'order' AS place, letter.error
), forgotten AS (
    DELETE FROM headrace.cancellation WHERE job_id IN (SELECT id FROM letter)
), blocked AS (
    INSERT INTO headrace.blocked (job_id, pending) SELECT id, 0 FROM replayed WHERE state = 1
    ON CONFLICT (job_id) DO UPDATE SET pending = 0
), woken AS (
    INSERT INTO headrace.wake (job_id) SELECT id FROM replayed WHERE state = 1
), line AS (
    SELECT r.id, headrace.order_id(r.tenant, q.name, r.place ->> 'key') AS key_id,
           (r.place ->> 'seq')::bigint AS seq, r.place ->> 'on_dead' = 'block' AS kept
    FROM replayed r JOIN headrace.queue q ON q.id = r.queue_id
    WHERE r.place IS NOT NULL
), keys AS (
    INSERT INTO headrace.order_key AS k (id, turn)
    SELECT DISTINCT ON (key_id) key_id, id FROM line ORDER BY key_id, seq
    ON CONFLICT (id) DO UPDATE SET turn = k.turn
    RETURNING k.id
), places AS (
    INSERT INTO headrace.order_place (job_id, key_id, seq, kept)
    SELECT line.id, key_id, seq, kept FROM line JOIN keys ON keys.id = line.key_id
    ON CONFLICT (job_id) DO NOTHING
), tally AS (
    INSERT INTO headrace.counter_delta (queue_id, state, n)
    SELECT queue_id, moved.state, sum(moved.n)
    FROM replayed, LATERAL (VALUES (3::smallint, -1), (replayed.state, 1)) AS moved (state, n)
    GROUP BY queue_id, moved.state
), history AS (
    INSERT INTO headrace.job_event (job_id, gen, kind, actor, data)
    SELECT id, gen - 1, 'replay', $2::text, error FROM replayed
)
SELECT id FROM replayed
