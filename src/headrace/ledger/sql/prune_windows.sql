-- prune_windows: forget windows that would not say more than new ones, some at a time: of keys that
-- nobody used for a whole span. $1 how many at most. Returns each.
DELETE FROM headrace.rate_window w
USING (
    SELECT name, key, span FROM headrace.rate_window
    WHERE greatest((log).lasts[cardinality((log).lasts)] + span,
                   (lines[2]).lasts[cardinality((lines[2]).lasts)] + span, rests_until, 0)
          < extract(epoch FROM now()) * 1000000
    LIMIT $1
    FOR UPDATE SKIP LOCKED
) AS quiet
WHERE (w.name, w.key, w.span) = (quiet.name, quiet.key, quiet.span)
RETURNING w.name
