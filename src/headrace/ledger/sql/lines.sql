-- lines: the lines of a concurrency limit as they are now, by key, and keys of which somebody says something.
-- $1 name, $2 a key or null, $3 how many at most, the fullest first. width: of each level, where it is fair.
SELECT known.key, headrace.width_of(c, w) AS width, coalesce(now.taken, 0) AS taken,
       coalesce(now.standing, 0) AS standing
FROM headrace.concurrency_limit c, (
    SELECT key FROM headrace.line WHERE name = $1 AND ($2::text IS NULL OR key = $2)
    UNION SELECT key FROM headrace.line_width WHERE name = $1 AND ($2::text IS NULL OR key = $2)
) AS known (key)
LEFT JOIN headrace.line_width w ON w.name = $1 AND w.key = known.key,
LATERAL (
    SELECT sum(l.taken)::int AS taken, sum((
        SELECT count(*) FROM headrace.seat_group g JOIN headrace.seat s ON s.group_id = g.id AND s.phase = 1
        WHERE g.lines @> ARRAY[l.id]))::int AS standing
    FROM headrace.line l WHERE l.name = $1 AND l.key = known.key
) AS now
WHERE c.name = $1
ORDER BY coalesce(now.taken, 0) DESC, known.key
LIMIT $3
