-- hear: somebody hears these channels, for so long unless it says so again; what is over goes.
-- $1 who, $2 channels, $3 seconds.
WITH over AS (
    DELETE FROM headrace.audience WHERE until < now() - interval '1 minute'
), before AS (
    DELETE FROM headrace.audience WHERE listener = $1 AND channel <> ALL ($2)
)
INSERT INTO headrace.audience (listener, channel, until)
SELECT $1, channel, now() + $3 * interval '1 second' FROM unnest($2::text[]) AS channel
ON CONFLICT (listener, channel) DO UPDATE SET until = excluded.until
