-- retire_partition: detach a day; what must stay moves to DEFAULT. $1 day, $2 seconds that a job is
-- kept once it is over, $3 how many may stay. Null where more would: nothing was done.
SELECT headrace.retire_partition($1, $2::float8 * interval '1 second', $3)
