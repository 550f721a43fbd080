-- publish: a job for each subscription of a topic.
-- $1 topic, $2 event (JSON).
SELECT headrace.publish($1, $2::jsonb) AS jobs
