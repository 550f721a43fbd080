-- verify_limits: no window of a rate limit has more starts than the limit allows, as far back as its
-- log goes; marks from before the limit was changed are judged by what came after. $1 unused, $2 how
-- many to show.
SELECT w.name || CASE WHEN w.key = '' THEN '' ELSE ' for ' || w.key END AS subject,
       format('%s starts in %s s, %s allowed', inside.n, w.span / 1000000.0, allowed.most) AS detail
FROM headrace.rate_window w JOIN headrace.rate_limit l ON l.name = w.name AND w.span = ANY (l.spans),
LATERAL (SELECT l.most[array_position(l.spans, w.span)] AS most) AS allowed,
LATERAL unnest((w.log).lasts) AS ends,
LATERAL (
    SELECT sum(entry.counts) AS n FROM unnest((w.log).lasts, (w.log).counts) AS entry (lasts, counts)
    WHERE entry.lasts > ends - w.span AND entry.lasts <= ends
) AS inside
WHERE inside.n > allowed.most AND $1::int IS NOT DISTINCT FROM $1
  AND ends > extract(epoch FROM l.changed_at) * 1000000
LIMIT $2
