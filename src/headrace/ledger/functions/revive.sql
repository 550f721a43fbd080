-- Makes jobs that are over available again, as if they had never run; their last error goes into their
-- history. states: which of them. Whoever comes second finds none. Returns them.
-- One that is linked to others is blocked at first: headrace.unblock then sees what holds it
-- (tests/model/ordering.py, twin `replays_at_once`). Under an ordering key it comes again at its own place:
-- before all that wait, after the one whose turn it is. The keys are locked first, as in an insert: who
-- unblocks waits for nobody.
CREATE OR REPLACE FUNCTION headrace.revive(ids uuid[], states smallint[], actor text) RETURNS SETOF uuid
LANGUAGE plpgsql SET search_path = headrace, pg_catalog SET enable_hashjoin = on AS $$
DECLARE
    keys   bigint[];
    linked uuid[];
BEGIN
    WITH line AS MATERIALIZED (
        SELECT DISTINCT ON (key_id) o.key_id, j.id
        FROM job j JOIN queue q ON q.id = j.queue_id,
             LATERAL (SELECT headrace.order_id(j.tenant, q.name, j.headers -> 'order' ->> 'key') AS key_id) AS o
        WHERE j.id = ANY (ids) AND j.state = ANY (states) AND j.headers ? 'order'
        ORDER BY key_id, (j.headers -> 'order' ->> 'seq')::bigint
    ), locked AS (
        INSERT INTO order_key AS k (id, turn) SELECT key_id, id FROM line ORDER BY key_id
        ON CONFLICT (id) DO UPDATE SET turn = k.turn
        RETURNING k.id
    )
    SELECT array_agg(id) INTO keys FROM locked;
    -- A whole flow comes again before anybody looks at a part of it (tests/model/joins.py, twin
    -- `retries_beside_a_look`).
    IF EXISTS (SELECT FROM job WHERE id = ANY (ids) AND links <> 0) THEN
        PERFORM pg_advisory_xact_lock(7166418214);
    END IF;
    RETURN QUERY
    WITH letter AS (
        SELECT id, state, error FROM job
        WHERE id = ANY (ids) AND state = ANY (states)
        ORDER BY id
        FOR NO KEY UPDATE SKIP LOCKED
    ), revived AS (
        UPDATE job j
        SET state = CASE WHEN j.links = 0 THEN 0 ELSE 1 END, gen = j.gen + 1, xid = pg_current_xact_id(),
            run_at = now(), owner = NULL, claim_no = NULL, failures = 0, crashes = 0, snoozes = 0,
            started_at = NULL, settled_at = NULL, error = NULL, pushed = false
        FROM letter
        WHERE j.id = letter.id AND j.state = letter.state
        RETURNING j.id, j.gen, j.queue_id, j.state, j.tenant, j.headers -> 'order' AS place,
                  letter.state AS was, letter.error
    ), forgotten AS (
        DELETE FROM cancellation WHERE job_id IN (SELECT id FROM letter)
    ), held AS (
        INSERT INTO blocked (job_id, pending) SELECT id, 0 FROM revived WHERE state = 1
        ON CONFLICT (job_id) DO UPDATE SET pending = 0
    ), woken AS (
        INSERT INTO wake (job_id) SELECT id FROM revived WHERE state = 1
    ), places AS (
        INSERT INTO order_place (job_id, key_id, seq, kept)
        SELECT r.id, headrace.order_id(r.tenant, q.name, r.place ->> 'key'), (r.place ->> 'seq')::bigint,
               r.place ->> 'on_dead' = 'block'
        FROM revived r JOIN queue q ON q.id = r.queue_id
        WHERE r.place IS NOT NULL
        ON CONFLICT (job_id) DO NOTHING
    ), tally AS (
        INSERT INTO counter_delta (queue_id, state, n)
        SELECT queue_id, moved.state, sum(moved.n)
        FROM revived, LATERAL (VALUES (revived.was, -1), (revived.state, 1)) AS moved (state, n)
        GROUP BY queue_id, moved.state
    ), history AS (
        INSERT INTO job_event (job_id, gen, kind, actor, data)
        SELECT id, gen - 1, 'replay', revive.actor, error FROM revived
    ), again AS (
        -- They wait once more for whoever comes again, too, and fail with whoever does not (twin
        -- `keeps_what_failed`).
        UPDATE edge e SET decided = false
        FROM revived child, job parent
        WHERE e.child = child.id AND e.decided AND parent.id = e.parent AND parent.state <> 2
    )
    SELECT id FROM revived;
    DELETE FROM order_key k WHERE k.id = ANY (keys)
    AND NOT EXISTS (SELECT FROM order_place p WHERE p.key_id = k.id);
END $$;
