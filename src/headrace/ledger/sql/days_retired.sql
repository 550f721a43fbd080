-- days_retired: days whose partition is due, oldest first. $1 seconds that a job is kept once over.
-- Returns day, attached; a detached one only needs to be dropped.
SELECT to_date(substr(c.relname, 5), 'YYYYMMDD') AS day, i.inhrelid IS NOT NULL AS attached
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'headrace'
LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
WHERE c.relkind = 'r' AND c.relname ~ '^job_[0-9]{8}$'
  AND (i.inhrelid IS NULL
       OR (to_date(substr(c.relname, 5), 'YYYYMMDD') + 1)::timestamp AT TIME ZONE 'UTC'
          < now() - $1::float8 * interval '1 second')
ORDER BY 1
