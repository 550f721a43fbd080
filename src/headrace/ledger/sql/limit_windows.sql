-- limit_windows: what the windows of a limit hold now. $1 name, $2 a key or null, $3 how many at most,
-- those in use first. Times in seconds from now, null where there is none.
SELECT w.key, w.span, l.most[array_position(l.spans, w.span)] AS most, used.n AS used,
       nullif(greatest(headrace.rate_instant(
           w.log, w.span, l.most[array_position(l.spans, w.span)] - 1,
           greatest(here.now, w.rests_until)) - here.now, 0), 0) / 1000000.0 AS next_start,
       nullif(greatest(w.rests_until - here.now, 0), 0) / 1000000.0 AS rests
FROM headrace.rate_window w JOIN headrace.rate_limit l ON l.name = w.name AND w.span = ANY (l.spans),
LATERAL (
    SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now
) AS here, LATERAL (
    SELECT coalesce(sum(entry.n), 0) AS n
    FROM unnest((w.log).lasts, (w.log).counts) AS entry (last, n)
    WHERE entry.last + w.span > here.now
) AS used
WHERE w.name = $1 AND ($2::text IS NULL OR w.key = $2)
ORDER BY used.n * 1.0 / l.most[array_position(l.spans, w.span)] DESC, w.key, w.span
LIMIT $3
