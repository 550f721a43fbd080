-- days_missing: days from today on, $1 of them, that have no partition and no row in DEFAULT:
-- a day that began there stays there, for ATTACH would refuse it. Days are those of UTC, whatever
-- the zone of the session.
WITH ahead AS (
    SELECT (now() AT TIME ZONE 'UTC')::date + n AS day FROM generate_series(0, $1::int) AS n
), span AS (
    SELECT day, headrace.uuid_floor(day::timestamp AT TIME ZONE 'UTC') AS first,
           headrace.uuid_floor((day + 1)::timestamp AT TIME ZONE 'UTC') AS beyond
    FROM ahead
)
SELECT day FROM span
WHERE to_regclass('headrace.job_' || to_char(day, 'YYYYMMDD')) IS NULL
  AND NOT EXISTS (SELECT FROM headrace.job_default WHERE id >= first AND id < beyond)
  AND NOT EXISTS (SELECT FROM headrace.job_event_default WHERE job_id >= first AND job_id < beyond)
ORDER BY day
