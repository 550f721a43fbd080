-- schedule_history: what was done to a schedule, oldest first. $1 name.
SELECT at, kind, actor, data::text AS data FROM headrace.schedule_event WHERE name = $1 ORDER BY id
