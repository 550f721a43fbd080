-- register: a worker's lease begins. $1 worker, $2 host, $3 pid, $4 queues (JSON).
INSERT INTO headrace.worker (id, host, pid, queues) VALUES ($1, $2, $3, $4::jsonb)
ON CONFLICT (id) DO NOTHING
