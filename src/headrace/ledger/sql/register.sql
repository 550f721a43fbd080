-- register: a worker's lease begins.
-- $1 worker, $2 host, $3 pid, $4 slots by queue (JSON), $5 the lease in seconds.
INSERT INTO headrace.worker (id, host, pid, queues, lease) VALUES ($1, $2, $3, $4::jsonb, $5)
ON CONFLICT (id) DO NOTHING
