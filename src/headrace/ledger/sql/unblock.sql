-- unblock: let go what waited for these jobs, or for any that nobody has looked at, and what stands in line for
-- seats. $1 ids or null, $2 how many at most. Returns the jobs that may run now, their queues, and what is
-- worth looking at again.
SELECT released, queues, again FROM headrace.let_go($1::uuid[], $2)
