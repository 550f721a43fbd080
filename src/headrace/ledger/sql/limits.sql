-- limits: rate limits by name. $1 one name, or null for all. `keys`: how many of them have a window.
SELECT l.name, l.most, l.spans, l.overridden, l.changed_at,
       (SELECT count(DISTINCT w.key) FROM headrace.rate_window w WHERE w.name = l.name) AS keys
FROM headrace.rate_limit l
WHERE $1::text IS NULL OR l.name = $1
ORDER BY l.name
