-- create_schedule: a new one, made at run time. $1 name, $2 timing, $3 job, $4 who. No row where
-- there is one of this name.
WITH created AS (
    INSERT INTO headrace.schedule (name, timing, job) VALUES ($1, $2::text::jsonb, $3::text::jsonb)
    ON CONFLICT (name) DO NOTHING
    RETURNING name, timing, job
)
SELECT headrace.schedule_changed(name, 'created', $4,
                                 jsonb_build_object('timing', timing, 'job', job))
FROM created
