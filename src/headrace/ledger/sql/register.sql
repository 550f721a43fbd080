-- register: a worker's lease begins.
-- $1 worker, $2 host, $3 pid, $4 slots by queue (JSON), $5 the lease in seconds, $6 the schema of its code.
INSERT INTO headrace.worker (id, host, pid, queues, lease, code)
VALUES ($1, $2, $3, $4::jsonb, $5, $6)
ON CONFLICT (id) DO NOTHING
