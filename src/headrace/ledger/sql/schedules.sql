-- schedules: as they are now, by name. $1 one of them, or null.
SELECT s.name, s.app, s.undeclared, s.timing::text AS timing, s.job::text AS job,
       headrace.schedule_job(s.job)::text AS whole_job, s.paused, s.version,
       s.cursor, s.due_at, s.made, s.last_tick, s.last_job, s.error, s.created_at, s.changed_at,
       coalesce(s.declared IS DISTINCT FROM jsonb_build_object('timing', s.timing, 'job', s.job)
                AND s.declared IS NOT NULL, false) AS edited,
       now() AS now
FROM headrace.schedule s
WHERE $1::text IS NULL OR s.name = $1
ORDER BY s.name
