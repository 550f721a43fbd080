-- hold_schedule: the jobs of its ticks were refused: it is looked at again later. $1 name, $2 version
-- as it was read, $3 seconds, $4 why.
WITH held AS (
    UPDATE headrace.schedule SET due_at = now() + $3::float8 * interval '1 second', error = $4
    WHERE name = $1 AND version = $2 AND due_at IS NOT NULL
    RETURNING name
), before AS (
    SELECT error FROM headrace.schedule WHERE name = $1
)
INSERT INTO headrace.schedule_event (name, kind, actor, data)
SELECT held.name, 'refused', 'scheduler', jsonb_build_object('error', $4::text)
FROM held, before WHERE before.error IS DISTINCT FROM $4::text
