-- verify_unique: jobs that are unique until they are done, or until they start, and whose key names
-- another one: there may be two. Whoever replays a dead job may have two, and is not blamed.
-- $1 how many to walk or null, $2 how many to show.
SELECT j.id::text AS subject,
       'it is unique until it is ' || (j.headers #>> '{unique,until}') || ', but its key names '
       || coalesce(i.job_id::text, 'none') AS detail
FROM (SELECT * FROM headrace.job ORDER BY id DESC LIMIT $1) AS j
LEFT JOIN headrace.idempotency i ON i.key = decode(j.headers #>> '{unique,key}', 'hex')
WHERE j.headers ? 'unique' AND j.state <= 1 AND i.job_id IS DISTINCT FROM j.id
  AND (j.headers #>> '{unique,until}' = 'done' OR (j.gen = 1 AND j.owner IS NULL))
  AND NOT EXISTS (SELECT FROM headrace.job_event e WHERE e.job_id = j.id AND e.kind = 'replay')
LIMIT $2
