-- judge: void a worker that has been silent since this beat; no row if it beat meanwhile.
-- $1 worker, $2 the beat seen.
UPDATE headrace.worker SET reaped_at = now()
WHERE id = $1 AND beats = $2 AND reaped_at IS NULL
RETURNING id
