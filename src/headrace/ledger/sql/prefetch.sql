-- prefetch: what a call took from the lane ahead of the worker's free slots has not started.
-- $1 worker, $2 queue, $3 the call.
INSERT INTO headrace.prefetch (worker, queue_id, claim_no)
SELECT $1, id, $3 FROM headrace.queue WHERE name = $2
ON CONFLICT (worker, queue_id) DO UPDATE SET claim_no = excluded.claim_no
