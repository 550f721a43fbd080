-- Jobs that wait for nobody, all at once. An id that is there already is left alone, so that a call whose
-- reply was lost can be repeated.
CREATE OR REPLACE FUNCTION headrace.put_jobs(docs jsonb) RETURNS TABLE (place int, job_id uuid)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH spec AS MATERIALIZED (
        SELECT * FROM headrace.read_jobs(docs)
    ), fresh AS (
        INSERT INTO headrace.job AS j (id, queue_id, task, priority, max_attempts, rerun_on_crash,
                                       tenant, payload, headers, run_at)
        SELECT id, queue_id, task, priority, max_attempts, rerun, tenant, args, headers, run_at FROM spec
        ON CONFLICT (id) DO NOTHING
        RETURNING j.queue_id
    ), tally AS (
        INSERT INTO headrace.counter_delta (queue_id, state, n)
        SELECT queue_id, 0,
               CASE WHEN queue_id IN (SELECT q.id FROM headrace.queue q WHERE q.max_depth IS NOT NULL)
                    THEN headrace.within_depth(queue_id, count(*)) ELSE count(*) END
        FROM fresh GROUP BY queue_id
    )
    SELECT spec.place, spec.id FROM spec;
END $$;
