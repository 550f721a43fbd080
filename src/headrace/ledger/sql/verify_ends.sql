-- verify_ends: jobs that are over but do not look so. $1 how many to walk or null, $2 how many to show.
SELECT j.id::text AS subject,
       CASE WHEN j.owner IS NOT NULL THEN 'it is over and has an owner'
            WHEN j.settled_at IS NULL THEN 'it is over and has no end'
            ELSE 'generation ' || j.gen || ' is completed, but ' || coalesce(j.settled_gen::text, 'none')
                 || ' was settled' END AS detail
FROM (SELECT * FROM headrace.job ORDER BY id DESC LIMIT $1) AS j
WHERE j.state >= 2
  AND (j.owner IS NOT NULL OR j.settled_at IS NULL
       OR (j.state = 2 AND (j.settled_by IS NULL OR j.settled_gen IS DISTINCT FROM j.gen)))
LIMIT $2
