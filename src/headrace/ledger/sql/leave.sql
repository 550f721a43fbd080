-- leave: a worker stops and tells what it still runs; what else it may own never started, and the
-- reaper gives it back. Once it was taken for dead, what it tells comes too late.
-- $1 worker, $2 ids, $3 gens of what it still runs.
UPDATE headrace.worker
SET reaped_at = now(),
    left_with = (SELECT coalesce(jsonb_object_agg(id, gen), '{}')
                 FROM unnest($2::uuid[], $3::int[]) AS running (id, gen))
WHERE id = $1 AND reaped_at IS NULL
