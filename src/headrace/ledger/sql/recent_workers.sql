-- recent_workers: host and process of each worker that may still run something: it lives, or it left
-- or was taken for dead less than a minute ago.
SELECT host, pid FROM headrace.worker
WHERE reaped_at IS NULL OR reaped_at > now() - interval '1 minute'
