-- lines: the lines of a concurrency limit as they are now, and keys that an operator has said something of.
-- $1 name, $2 a key or null, $3 how many at most, the fullest first.
SELECT known.key, coalesce(w.width, c.width) AS width, coalesce(l.taken, 0) AS taken,
       (SELECT count(*) FROM headrace.seat_group g JOIN headrace.seat s ON s.group_id = g.id AND s.phase = 1
        WHERE g.lines @> ARRAY[l.id]) AS standing
FROM headrace.concurrency_limit c, (
    SELECT key FROM headrace.line WHERE name = $1 AND ($2::text IS NULL OR key = $2)
    UNION SELECT key FROM headrace.line_width WHERE name = $1 AND ($2::text IS NULL OR key = $2)
) AS known (key)
LEFT JOIN headrace.line l ON l.name = $1 AND l.key = known.key
LEFT JOIN headrace.line_width w ON w.name = $1 AND w.key = known.key
WHERE c.name = $1
ORDER BY coalesce(l.taken, 0) DESC, known.key
LIMIT $3
