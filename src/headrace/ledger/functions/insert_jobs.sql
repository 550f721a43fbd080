-- Inserting from a transaction that is not ours: one JSON parameter, which every driver can pass.

-- docs: an array of objects with task and args, and optionally id, queue, priority, max_attempts,
-- delay (seconds), run_at, idempotency_key, idempotency_for (seconds), unique, order_key, on_dead (block
-- or skip), after, tenant, rerun_on_crash, headers (what features of headrace itself say). Priorities by
-- number or name.
-- unique: an object, all of it optional, of key or by (names of arguments), until (queued, started or
-- done), for (seconds), per_queue, on_conflict (return, ignore, raise, replace, debounce).
-- after: the jobs at whose end it may run: ids, or objects of id and on_failure (fail, ignore or wait).
CREATE OR REPLACE FUNCTION headrace.insert_jobs(docs jsonb)
RETURNS TABLE (place int, job_id uuid, duplicate boolean)
LANGUAGE sql AS $$
    SELECT place, job_id, duplicate FROM headrace.add_jobs(docs)
$$;

-- Until 0014 this was its other half. It goes in the same transaction, since enqueues never stop.
DROP FUNCTION IF EXISTS headrace.insert_levelled_jobs(jsonb);
