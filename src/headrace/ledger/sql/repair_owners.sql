-- repair_owners: make unknown owners known as reaped workers, so that the reaper takes their jobs by
-- its own rules.
INSERT INTO headrace.worker (id, host, pid, queues, reaped_at)
SELECT DISTINCT j.owner, 'unknown', 0, '[]'::jsonb, now() FROM headrace.job j
WHERE j.state = 0 AND j.owner IS NOT NULL
ON CONFLICT (id) DO NOTHING
