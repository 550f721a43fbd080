-- insert: jobs without idempotency keys, at once. An id that is there already is refused by the
-- primary key: the caller then leaves it out, so that a call whose reply was lost can be repeated.
-- (ON CONFLICT would do that here, and make each row a third dearer.)
-- All or none: ids over one hour off the clock would land outside the partitions, so nothing then; neither
-- where a limit says that some stand in line for seats: insert_docs.sql knows how.
-- $1 ids, $2 queue ids, $3 tasks, $4 priorities, $5 max_attempts, $6 delays in seconds or null,
-- $7 run_at or null, $8 payloads (JSON), $9 tenants, $10 rerun_on_crash, $11 headers (JSON) or null,
-- $12 whether the producer puts those into the lane that name no run_at, $13 whether the commit waits
-- for the disk: it does in any case, where not all of the queues are loss-tolerant now. Returns how
-- many were inserted, and the tasks and queues whose limits kept them
-- out, or null.
-- A column of one value comes as that alone ($2 to $5, $9, $10), one of nulls as null ($6, $7, $11).
WITH spec AS (
    SELECT id, coalesce(queue_id, ($2::int[])[1]) AS queue_id, coalesce(task, ($3::text[])[1]) AS task,
           coalesce(priority, ($4::smallint[])[1]) AS priority,
           coalesce(max_attempts, ($5::smallint[])[1]) AS max_attempts, delay, run_at, payload,
           coalesce(tenant, ($9::text[])[1]) AS tenant, coalesce(rerun, ($10::boolean[])[1]) AS rerun,
           headers
    FROM unnest($1::uuid[], $2::int[], $3::text[], $4::smallint[], $5::smallint[], $6::float8[],
                $7::timestamptz[], $8::text[], $9::text[], $10::boolean[], $11::text[])
      AS s (id, queue_id, task, priority, max_attempts, delay, run_at, payload, tenant, rerun, headers)
), fit AS (
    SELECT bool_and(id BETWEEN (SELECT headrace.uuid_floor(now() - interval '1 hour'))
                           AND (SELECT headrace.uuid_floor(now() + interval '1 hour'))) AS ok,
           (SELECT array_agg(coalesce(r.task, q.name))
            FROM headrace.line_rule r LEFT JOIN headrace.queue q ON q.id = r.queue_id
            WHERE r.task = ANY ($3::text[]) OR r.queue_id = ANY ($2::int[])) AS limited
    FROM spec
), fresh AS (
    INSERT INTO headrace.job (id, queue_id, task, priority, max_attempts, run_at, payload, tenant,
                              rerun_on_crash, headers, pushed)
    SELECT id, queue_id, task, priority, max_attempts,
           greatest(run_at, now() + delay * interval '1 second', now()), payload::jsonb, tenant, rerun,
           headers::jsonb, $12::boolean AND run_at IS NULL
    FROM spec, fit
    WHERE fit.ok AND fit.limited IS NULL
    RETURNING queue_id
), tally AS (
    INSERT INTO headrace.counter_delta (queue_id, state, n)
    SELECT queue_id, 0,
           CASE WHEN queue_id IN (SELECT q.id FROM headrace.queue q WHERE q.max_depth IS NOT NULL)
                THEN headrace.within_depth(queue_id, count(*)) ELSE count(*) END
    FROM fresh GROUP BY queue_id
)
SELECT count(*), (SELECT limited FROM fit) AS limited,
       CASE WHEN NOT $13::boolean AND headrace.may_lose($2) THEN
           set_config('synchronous_commit', 'off', true)
       END AS late
FROM fresh
