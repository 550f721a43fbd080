-- charge: what a worker took ahead of its free slots may start from now on, so its death costs these
-- jobs an attempt (A5). To repeat it changes nothing. $1 worker, $2 queue, $3 the call that took it.
UPDATE headrace.prefetch p SET claim_no = 0
FROM headrace.queue q
WHERE q.name = $2 AND p.worker = $1 AND p.queue_id = q.id AND p.claim_no = $3
