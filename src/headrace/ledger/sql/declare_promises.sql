-- declare_promises: what queues promise, where nobody has said anything yet. $1 names, in one order
-- for all, so that two callers wait and never deadlock, $2 promises.
UPDATE headrace.queue q SET promise = v.promise
FROM unnest($1::text[], $2::text[]) AS v (name, promise)
WHERE q.name = v.name AND q.promise IS NULL
