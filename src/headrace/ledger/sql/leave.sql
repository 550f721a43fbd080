-- leave: a worker stops; what it may still own is reaped. $1 worker.
UPDATE headrace.worker SET reaped_at = now() WHERE id = $1 AND reaped_at IS NULL
