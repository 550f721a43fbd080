-- declare_subscriptions: make those of an application known; returns those that are another's.
-- $1 application, $2 an array of objects with topic, name, task, argument and on_dead (JSON).
WITH said AS (
    SELECT topic, name, task, argument, on_dead
    FROM jsonb_to_recordset($2::jsonb)
      AS v (topic text, name text, task text, argument text, on_dead text)
), known AS (
    INSERT INTO headrace.subscription AS s (topic, name, task, argument, on_dead, app)
    SELECT topic, name, task, argument, on_dead, $1 FROM said ORDER BY topic, name
    ON CONFLICT (topic, name) DO UPDATE
    SET task = excluded.task, argument = excluded.argument, on_dead = excluded.on_dead
    WHERE s.app = $1 AND (s.task, s.argument, s.on_dead)
                         IS DISTINCT FROM (excluded.task, excluded.argument, excluded.on_dead)
)
SELECT s.topic, s.name, s.app FROM said JOIN headrace.subscription s USING (topic, name)
WHERE s.app <> $1
ORDER BY s.topic, s.name
