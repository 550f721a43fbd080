-- declare_tasks: make tasks and their defaults known to raw SQL.
-- $1 names, $2 queue ids, $3 priorities, $4 max_attempts, $5 rerun_on_crash.
INSERT INTO headrace.task AS t (name, queue_id, priority, max_attempts, rerun_on_crash)
SELECT * FROM unnest($1::text[], $2::int[], $3::smallint[], $4::smallint[], $5::boolean[])
ON CONFLICT (name) DO UPDATE
SET queue_id = excluded.queue_id, priority = excluded.priority,
    max_attempts = excluded.max_attempts, rerun_on_crash = excluded.rerun_on_crash,
    declared_at = now()
WHERE (t.queue_id, t.priority, t.max_attempts, t.rerun_on_crash)
      IS DISTINCT FROM (excluded.queue_id, excluded.priority, excluded.max_attempts, excluded.rerun_on_crash)
