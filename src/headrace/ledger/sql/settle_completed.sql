-- settle_completed: the happy path of settle, for a batch of completions (R2).
-- $1 worker, $2 ids, $3 gens (one, if it is that of all), $4 seconds each ran, $5 results (JSON), or
-- null where nobody has one; $6 whether the commit waits for the disk, as in insert.sql.
-- It may stand in the transaction of a handler, which began when now() was.
-- Returns how many it wrote: mostly all of them, and else settled_before.sql tells which; and those of
-- them that others may wait for.
WITH verdict AS (
    SELECT id, coalesce(gen, ($3::int[])[1]) AS gen, ran, result
    FROM unnest($2::uuid[], $3::int[], $4::float8[], $5::text[]) AS v (id, gen, ran, result)
), settled AS (
    UPDATE headrace.job j
    SET state = 2, owner = NULL, settled_by = $1, settled_gen = v.gen, settled_at = statement_timestamp(),
        started_at = statement_timestamp() - v.ran * interval '1 second', result = v.result::jsonb
    FROM verdict v
    WHERE j.id = v.id AND j.gen = v.gen AND j.state = 0
    RETURNING j.queue_id, CASE WHEN j.links <> 0 THEN j.id END AS linked
), tally AS (
    INSERT INTO headrace.counter_delta (queue_id, state, n)
    SELECT queue_id, moved.state, moved.sign * n
    FROM (SELECT queue_id, count(*) AS n FROM settled GROUP BY queue_id) AS done,
         (VALUES (0, -1), (2, 1)) AS moved (state, sign)
)
SELECT count(*) AS count, array_agg(linked) FILTER (WHERE linked IS NOT NULL) AS linked,
       CASE WHEN NOT $6::boolean AND headrace.may_lose((SELECT array_agg(queue_id) FROM settled)) THEN
           set_config('synchronous_commit', 'off', true)
       END AS late
FROM settled
