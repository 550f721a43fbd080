-- verify_seats: live jobs that have no seat though they need one, seats of jobs that are not live, lines that
-- count wrong, and lines in which more were let go than they are wide, since their width was changed last.
-- $1 how many to walk or null, $2 how many to show.
SELECT j.id::text AS subject,
       CASE WHEN s.phase = 2 THEN 'it has a seat, and is not live' ELSE 'it is live, and has no seat' END AS detail
FROM (SELECT id, state, links FROM headrace.job ORDER BY id DESC LIMIT $1) AS j
LEFT JOIN headrace.seat s ON s.job_id = j.id
WHERE j.links >= 2 AND (j.state = 0) <> coalesce(s.phase = 2, false)
  AND NOT EXISTS (SELECT FROM headrace.seat_mark m WHERE m.job_id = j.id)
UNION ALL
SELECT l.name || ':' || l.key, format('%s of its seats are taken, it says %s', held.n, l.taken)
FROM headrace.line l, LATERAL (
    SELECT count(*) AS n FROM headrace.seat_group g JOIN headrace.seat s ON s.group_id = g.id AND s.phase = 2
    WHERE g.lines @> ARRAY[l.id]
) AS held
WHERE held.n <> l.taken
UNION ALL
SELECT l.name || ':' || l.key, format('%s are live at once, %s may be', live.n, wide.width)
FROM headrace.line l
JOIN headrace.concurrency_limit c ON c.name = l.name
LEFT JOIN headrace.line_width w ON w.name = l.name AND w.key = l.key,
LATERAL (
    SELECT headrace.width_of(c, w) AS width, greatest(c.changed_at, w.changed_at) AS since
) AS wide, LATERAL (
    SELECT count(*) AS n
    FROM headrace.seat_group g JOIN headrace.seat s ON s.group_id = g.id AND s.phase = 2
    JOIN headrace.job j ON j.id = s.job_id AND j.state = 0 AND j.run_at > wide.since
    WHERE g.lines @> ARRAY[l.id]
) AS live
WHERE live.n > wide.width
LIMIT $2
