-- edit_schedule: another timing or job. From a change of its timing on the ticks are new ones.
-- $1 name, $2 its version as it was read, $3 timing, $4 job, $5 who. No row where it is another
-- version by now.
WITH edited AS (
    UPDATE headrace.schedule
    SET timing = $3::text::jsonb, job = $4::text::jsonb, version = version + 1, changed_at = now(), error = NULL,
        cursor = CASE WHEN timing = $3::text::jsonb THEN cursor ELSE now() END,
        due_at = CASE WHEN NOT (paused OR undeclared) THEN now() END
    WHERE name = $1 AND version = $2
    RETURNING name, timing, job
)
SELECT headrace.schedule_changed(name, 'edited', $5,
                                 jsonb_build_object('timing', timing, 'job', job))
FROM edited
