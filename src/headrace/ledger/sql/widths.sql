-- widths: concurrency limits by name. $1 one name, or null for all. `keys`: how many lines it has.
SELECT c.name, c.width, c.overridden,
       (SELECT count(DISTINCT l.key) FROM headrace.line l WHERE l.name = c.name) AS keys, c.fair
FROM headrace.concurrency_limit c
WHERE $1::text IS NULL OR c.name = $1
ORDER BY c.name
