-- verify_blocked: blocked jobs that nothing holds, or that are not known as such; places and turns of
-- jobs that are over; ends that nobody has looked at.
-- $1 how many to walk or null, $2 how many to show.
SELECT j.id::text AS subject,
       CASE WHEN b.job_id IS NULL THEN 'it is blocked, and nobody knows of it'
            ELSE 'it is blocked, and nothing holds it' END AS detail
FROM (SELECT id, state FROM headrace.job ORDER BY id DESC LIMIT $1) AS j
LEFT JOIN headrace.blocked b ON b.job_id = j.id
WHERE j.state = 1 AND (
    b.job_id IS NULL AND NOT EXISTS (SELECT FROM headrace.seat s WHERE s.job_id = j.id AND s.phase <= 1)
    OR b.job_id IS NOT NULL AND NOT EXISTS (SELECT FROM headrace.edge e LEFT JOIN headrace.job p ON p.id = e.parent
                   WHERE e.child = j.id AND NOT e.decided
                     AND headrace.edge_passes(e.on_failure, p.state) IS NULL AND p.id IS NOT NULL)
       AND NOT EXISTS (SELECT FROM headrace.order_place p JOIN headrace.order_key k ON k.id = p.key_id
                       WHERE p.job_id = j.id AND k.turn <> j.id))
UNION ALL
SELECT b.job_id::text, 'it is known as blocked, and is not'
FROM headrace.blocked b LEFT JOIN headrace.job j ON j.id = b.job_id
WHERE j.state IS DISTINCT FROM 1
UNION ALL
SELECT p.job_id::text, 'it is over, and has a place in the order of its key'
FROM headrace.order_place p LEFT JOIN headrace.job j ON j.id = p.job_id
WHERE coalesce(j.state, 2) IN (2, 4) OR j.state = 3 AND NOT p.kept
UNION ALL
SELECT k.turn::text, 'it is its turn, and it has no place'
FROM headrace.order_key k
WHERE NOT EXISTS (SELECT FROM headrace.order_place p WHERE p.job_id = k.turn)
UNION ALL
SELECT w.job_id::text, 'nobody has looked at what waits for it' FROM headrace.wake w
LIMIT $2
