-- lead: take or renew a role for some seconds; a row back means it is held.
-- $1 role, $2 holder, $3 seconds.
INSERT INTO headrace.leader AS l (role, holder, until)
VALUES ($1, $2, now() + $3::float8 * interval '1 second')
ON CONFLICT (role) DO UPDATE SET holder = excluded.holder, until = excluded.until
WHERE l.holder = excluded.holder OR l.until < now()
RETURNING role
