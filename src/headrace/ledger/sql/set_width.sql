-- set_width: what an operator says of a concurrency limit. $1 name, $2 a key or null, $3 width. Returns whether
-- it is there.
SELECT headrace.set_width($1, $2, $3) AS known
