-- declare_queues: make queues known. $1 names. Returns name and id of every queue there is.
WITH added AS (
    INSERT INTO headrace.queue (name) SELECT DISTINCT unnest($1::text[])
    ON CONFLICT (name) DO NOTHING
    RETURNING id, name
)
SELECT id, name FROM headrace.queue UNION SELECT id, name FROM added
