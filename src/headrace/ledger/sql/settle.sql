-- settle: outcomes of any kind, fenced by generation (R2, A7).
-- $1 worker, $2 ids, $3 gens, $4 states to store, $5 failed, $6 snoozed, $7 delays in seconds,
-- $8 seconds each ran, $9 results (JSON) or null, $10 errors (JSON) or null, $11 whether the commit
-- waits for the disk, as in insert.sql.
-- A row that stays live gets a new generation and a new xid: its next run is another one. Returns
-- id, gen, linked: it is over or put off, and others may wait for that.
WITH verdict AS (
    SELECT *
    FROM unnest($2::uuid[], $3::int[], $4::smallint[], $5::boolean[], $6::boolean[], $7::float8[],
                $8::float8[], $9::text[], $10::text[])
      AS v (id, gen, state, failed, snoozed, delay, ran, result, error)
), settled AS (
    UPDATE headrace.job j
    SET state = v.state, owner = NULL, settled_by = $1, settled_gen = v.gen,
        gen = j.gen + (v.state = 0)::int,
        xid = CASE WHEN v.state = 0 THEN pg_current_xact_id() ELSE j.xid END,
        failures = j.failures + v.failed::int, snoozes = j.snoozes + v.snoozed::int,
        run_at = CASE WHEN v.state = 0 THEN now() + v.delay * interval '1 second' ELSE j.run_at END,
        started_at = now() - v.ran * interval '1 second',
        settled_at = now(),
        result = v.result::jsonb, error = v.error::jsonb
    FROM verdict v
    WHERE j.id = v.id AND j.gen = v.gen AND j.state = 0
    RETURNING j.id, j.queue_id, v.gen, v.state, v.failed, v.snoozed, v.error, v.ran, j.links
), tally AS (
    INSERT INTO headrace.counter_delta (queue_id, state, n)
    SELECT queue_id, moved.state, sum(moved.n)
    FROM settled, LATERAL (VALUES (0::smallint, -1), (settled.state, 1)) AS moved (state, n)
    WHERE settled.state <> 0
    GROUP BY queue_id, moved.state
), history AS (
    INSERT INTO headrace.job_event (job_id, gen, kind, actor, data)
    SELECT id, gen,
           CASE WHEN state = 3 THEN 'dead' WHEN state = 4 THEN 'cancelled'
                WHEN failed THEN 'retry' ELSE 'snooze' END,
           'worker:' || $1::uuid, error::jsonb || jsonb_build_object('ran', round(ran::numeric, 3))
    FROM settled WHERE state <> 2
)
SELECT id, gen, links >= 2 OR state <> 0 AND links <> 0 AS linked,
       (SELECT CASE WHEN NOT $11::boolean
                         AND headrace.may_lose((SELECT array_agg(queue_id) FROM settled)) THEN
                   set_config('synchronous_commit', 'off', true)
               END) AS late
FROM settled
