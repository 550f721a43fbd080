-- promised_otherwise: which of these queues promise something else. $1 names, $2 promises.
SELECT q.name, q.promise FROM unnest($1::text[], $2::text[]) AS v (name, promise)
JOIN headrace.queue q ON q.name = v.name AND q.promise <> v.promise
