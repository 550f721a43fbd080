-- verify_keys: idempotency keys that hold but whose job, made today, is not there.
-- $1 how many to walk or null, $2 how many to show.
SELECT i.job_id::text AS subject, 'a key that holds until ' || i.until || ' names it' AS detail
FROM (SELECT job_id, until FROM headrace.idempotency
      WHERE mode = 'window' AND until > now() AND job_id >= headrace.uuid_floor(now() - interval '1 day')
      ORDER BY job_id DESC LIMIT $1) AS i
WHERE NOT EXISTS (SELECT FROM headrace.job j WHERE j.id = i.job_id)
LIMIT $2
