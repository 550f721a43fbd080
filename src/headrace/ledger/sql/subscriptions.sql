-- subscriptions: who gets the events of a topic, with what their tasks say now.
-- $1 topic, or null for all.
SELECT s.topic, s.name, s.task, s.argument, s.on_dead, s.app, q.name AS queue, t.priority, t.max_attempts,
       t.rerun_on_crash, s.created_at
FROM headrace.subscription s
JOIN headrace.task t ON t.name = s.task
JOIN headrace.queue q ON q.id = t.queue_id
WHERE $1::text IS NULL OR s.topic = $1
ORDER BY s.topic, s.name
