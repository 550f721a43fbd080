-- counts: jobs by queue and stored state, from totals and unfolded deltas. Returns queue, state, n.
SELECT q.name AS queue, total.state, sum(total.n)::bigint AS n
FROM (SELECT queue_id, state, n FROM headrace.counter
      UNION ALL SELECT queue_id, state, n FROM headrace.counter_delta) AS total
JOIN headrace.queue q ON q.id = total.queue_id
GROUP BY q.name, total.state
