-- declare_queues: make queues known. $1 names, in one order for all, so that two callers wait and
-- never deadlock. Returns name and id of every queue there is.
WITH added AS (
    INSERT INTO headrace.queue (name) SELECT unnest($1::text[])
    ON CONFLICT (name) DO NOTHING
    RETURNING id, name
)
SELECT id, name FROM headrace.queue UNION SELECT id, name FROM added
