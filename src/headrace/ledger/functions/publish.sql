-- Publishing from a transaction that is not ours: a job for each subscription of the topic. Returns
-- their ids. key: a subscription runs the events of a key one after the other; null: in no order.
CREATE OR REPLACE FUNCTION headrace.publish(topic text, event jsonb, key text DEFAULT NULL) RETURNS uuid[]
LANGUAGE sql SET search_path = headrace, pg_catalog AS $$
    SELECT coalesce(array_agg(made.job_id ORDER BY made.place), '{}')
    FROM (SELECT headrace.uuid7() AS id) AS one,
         LATERAL (SELECT jsonb_agg(jsonb_build_object(
                             'task', s.task,
                             'args', jsonb_build_object(s.argument, event),
                             'headers', jsonb_build_object('topic', jsonb_build_object(
                                 'name', s.topic, 'subscription', s.name, 'event', one.id)))
                             || CASE WHEN publish.key IS NULL THEN '{}' ELSE jsonb_build_object(
                                 'order_key', s.name || ':' || publish.key, 'on_dead', s.on_dead) END
                             ORDER BY s.name) AS docs
                  FROM headrace.subscription s WHERE s.topic = publish.topic) AS due,
         LATERAL headrace.insert_jobs(coalesce(due.docs, '[]')) AS made
$$;

-- For every language, as headrace_enqueue.
CREATE OR REPLACE FUNCTION headrace_publish(topic text, event jsonb, key text DEFAULT NULL)
RETURNS uuid[] LANGUAGE sql AS $$
    SELECT headrace.publish(topic, event, key)
$$;
