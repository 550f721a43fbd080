-- Publishing from a transaction that is not ours: a job for each subscription of the topic. Returns
-- their ids.
CREATE OR REPLACE FUNCTION headrace.publish(topic text, event jsonb) RETURNS uuid[]
LANGUAGE sql SET search_path = headrace, pg_catalog AS $$
    SELECT coalesce(array_agg(made.job_id ORDER BY made.place), '{}')
    FROM (SELECT headrace.uuid7() AS id) AS one,
         LATERAL (SELECT jsonb_agg(jsonb_build_object(
                             'task', s.task,
                             'args', jsonb_build_object(s.argument, event),
                             'headers', jsonb_build_object('topic', jsonb_build_object(
                                 'name', s.topic, 'subscription', s.name, 'event', one.id)))
                             ORDER BY s.name) AS docs
                  FROM headrace.subscription s WHERE s.topic = publish.topic) AS due,
         LATERAL headrace.insert_jobs(coalesce(due.docs, '[]')) AS made
$$;

-- For every language, as headrace_enqueue.
CREATE OR REPLACE FUNCTION headrace_publish(topic text, event jsonb) RETURNS uuid[]
LANGUAGE sql AS $$
    SELECT headrace.publish(topic, event)
$$;
