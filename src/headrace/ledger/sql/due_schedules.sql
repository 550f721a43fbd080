-- due_schedules: schedules whose time has come, by the clock of PostgreSQL, and how long the others
-- have: one question, whatever is due. A template is completed by what its task says now. $1 how
-- many at most. Returns one row at least, without a name where nothing is due.
WITH due AS (
    SELECT s.name, s.version, s.cursor, s.made, s.timing, s.job, s.due_at
    FROM headrace.schedule s
    WHERE s.due_at <= now()
    ORDER BY s.due_at
    LIMIT $1
)
SELECT due.name, due.version, due.cursor, due.made, due.timing::text AS timing,
       headrace.schedule_job(due.job)::text AS job,
       now() AS now,
       (SELECT extract(epoch FROM min(s.due_at) - clock_timestamp())::float8
        FROM headrace.schedule s WHERE s.due_at > now()) AS wait
FROM (VALUES (1)) AS one LEFT JOIN due ON true
ORDER BY due.due_at
