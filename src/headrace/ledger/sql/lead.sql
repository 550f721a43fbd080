-- lead: take or renew a role for some seconds; a row back means it is held. Where another holds it,
-- this only reads: ON CONFLICT would lock the row, so each of many candidates would write.
-- $1 role, $2 holder, $3 seconds, $4 host and $5 pid of the holder.
WITH another AS (
    SELECT FROM headrace.leader WHERE role = $1 AND holder <> $2 AND until >= now()
)
INSERT INTO headrace.leader AS l (role, holder, until, host, pid)
SELECT $1, $2, now() + $3::float8 * interval '1 second', $4, $5 WHERE NOT EXISTS (SELECT FROM another)
ON CONFLICT (role) DO UPDATE SET holder = excluded.holder, until = excluded.until, host = excluded.host,
    pid = excluded.pid
WHERE l.holder = excluded.holder OR l.until < now()
RETURNING role
