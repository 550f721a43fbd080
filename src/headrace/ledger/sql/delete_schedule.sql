-- delete_schedule: forget a schedule that no code declares. $1 name, $2 who. Returns the application
-- that declares it, if one does; no row where there is no such schedule.
WITH deleted AS (
    DELETE FROM headrace.schedule WHERE name = $1 AND (app IS NULL OR undeclared)
    RETURNING name, timing, job
), told AS (
    SELECT headrace.schedule_changed(name, 'deleted', $2,
                                     jsonb_build_object('timing', timing, 'job', job))
    FROM deleted
)
SELECT CASE WHEN NOT EXISTS (SELECT FROM told) THEN app END AS app
FROM headrace.schedule WHERE name = $1
