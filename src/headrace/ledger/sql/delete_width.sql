-- delete_width: forget a concurrency limit. $1 name. Returns whether it was there.
SELECT headrace.delete_width($1) AS known
