-- admit: which of these jobs may start under their rate limits, and when; the others are put off.
-- $1 an array of {id, gen, urgent, waited, limits: [[name, key, weight]...]}, $2 for how many
-- microseconds a job may be held rather than put off. Returns put_off, wait (seconds), in order.
SELECT put_off, wait FROM headrace.admit(CAST($1 AS jsonb), $2) ORDER BY place
