-- leave: a worker stops in good order. What it may still own came by a claim whose reply was lost, so
-- nothing of it has started: it is taken back without blame. $1 worker.
UPDATE headrace.worker SET reaped_at = now(), left_well = true
WHERE id = $1 AND reaped_at IS NULL
