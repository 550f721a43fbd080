-- forget_workers: drop the rows of workers voided a day ago; no statement of theirs can be in flight.
DELETE FROM headrace.worker w
WHERE w.reaped_at < now() - interval '1 day'
  AND NOT EXISTS (SELECT 1 FROM headrace.job j WHERE j.owner = w.id AND j.state = 0)
