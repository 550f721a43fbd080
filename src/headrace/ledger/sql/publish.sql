-- publish: a job for each subscription of a topic.
-- $1 topic, $2 event (JSON), $3 key or null.
SELECT headrace.publish($1, $2::jsonb, $3) AS jobs
