-- days_missing: days from today on, $1 of them, that have no partition and no row in DEFAULT:
-- a day that began there stays there, for ATTACH would refuse it.
SELECT day::date
FROM generate_series((now() AT TIME ZONE 'UTC')::date,
                     (now() AT TIME ZONE 'UTC')::date + $1::int, interval '1 day') AS day
WHERE to_regclass('headrace.job_' || to_char(day, 'YYYYMMDD')) IS NULL
  AND NOT EXISTS (SELECT FROM headrace.job_default
                  WHERE id >= headrace.uuid_floor(day AT TIME ZONE 'UTC')
                    AND id < headrace.uuid_floor((day + interval '1 day') AT TIME ZONE 'UTC'))
  AND NOT EXISTS (SELECT FROM headrace.job_event_default
                  WHERE job_id >= headrace.uuid_floor(day AT TIME ZONE 'UTC')
                    AND job_id < headrace.uuid_floor((day + interval '1 day') AT TIME ZONE 'UTC'))
ORDER BY day
