-- verify_joins: jobs that may run, or did, though one that they come after has not passed; jobs that
-- passed one which is not over. Whoever was replayed may have run before, and is not blamed.
-- $1 how many to walk or null, $2 how many to show.
WITH walked AS (
    SELECT id, state FROM (SELECT * FROM headrace.job ORDER BY id DESC LIMIT $1) AS j WHERE links <> 0
)
SELECT w.id::text AS subject,
       CASE WHEN w.state IN (0, 2, 3) THEN 'it was let go, and has not passed ' || e.parent
            ELSE 'it has passed ' || e.parent || ', which is not over' END AS detail
FROM walked w
JOIN headrace.edge e ON e.child = w.id
LEFT JOIN headrace.job p ON p.id = e.parent
WHERE (w.state IN (0, 2, 3) AND NOT e.decided
       OR e.decided AND p.state <= 1)
  AND NOT EXISTS (SELECT FROM headrace.job_event o
                  WHERE o.job_id IN (w.id, e.parent) AND o.kind = 'replay')
LIMIT $2
