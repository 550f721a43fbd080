-- declare_subscriptions: make those of an application known; returns those that are another's.
-- $1 application, $2 an array of objects with topic, name, task and argument (JSON).
WITH said AS (
    SELECT topic, name, task, argument
    FROM jsonb_to_recordset($2::jsonb) AS v (topic text, name text, task text, argument text)
), known AS (
    INSERT INTO headrace.subscription AS s (topic, name, task, argument, app)
    SELECT topic, name, task, argument, $1 FROM said ORDER BY topic, name
    ON CONFLICT (topic, name) DO UPDATE SET task = excluded.task, argument = excluded.argument
    WHERE s.app = $1 AND (s.task, s.argument) IS DISTINCT FROM (excluded.task, excluded.argument)
)
SELECT s.topic, s.name, s.app FROM said JOIN headrace.subscription s USING (topic, name)
WHERE s.app <> $1
ORDER BY s.topic, s.name
