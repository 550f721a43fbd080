-- pause_schedule: let it tick or not. What it would have ticked meanwhile is passed over. $1 name,
-- $2 paused, $3 who. Returns whether that is new; no row where there is no such schedule.
WITH changed AS (
    UPDATE headrace.schedule
    SET paused = $2, version = version + 1, changed_at = now(),
        cursor = CASE WHEN $2 THEN cursor ELSE now() END,
        due_at = CASE WHEN NOT ($2 OR undeclared) THEN now() END
    WHERE name = $1 AND paused <> $2
    RETURNING name
), told AS (
    SELECT headrace.schedule_changed(name, CASE WHEN $2 THEN 'paused' ELSE 'resumed' END, $3, NULL)
    FROM changed
)
SELECT EXISTS (SELECT FROM told) AS changed FROM headrace.schedule WHERE name = $1
