-- delete_limit: forget a limit and all that it has counted. $1 name. Returns it, if it was there.
DELETE FROM headrace.rate_limit WHERE name = $1 RETURNING name
