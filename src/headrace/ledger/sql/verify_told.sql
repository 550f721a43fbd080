-- verify_told: jobs that tell more than is kept, or of attempts that they have not had.
-- $1 how many to walk or null, $2 how many to show.
SELECT j.id::text AS subject,
       CASE WHEN jsonb_array_length(j.told -> 'log') > 200
            THEN 'it keeps ' || jsonb_array_length(j.told -> 'log') || ' lines'
            ELSE 'it tells of attempt ' || (j.told #>> '{progress,attempt}') || ' after '
                 || j.failures + j.crashes || ' that ended' END AS detail
FROM (SELECT * FROM headrace.job ORDER BY id DESC LIMIT $1) AS j
WHERE j.told IS NOT NULL
  AND (jsonb_array_length(j.told -> 'log') > 200
       -- A replay counts its attempts anew.
       OR (j.told #>> '{progress,attempt}')::int > j.failures + j.crashes + 1
          AND NOT EXISTS (SELECT FROM headrace.job_event e WHERE e.job_id = j.id AND e.kind = 'replay'))
LIMIT $2
