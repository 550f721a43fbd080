-- repair_counters: add what the counters are off by. One snapshot, so right while jobs go on.
INSERT INTO headrace.counter_delta (queue_id, state, n)
SELECT queue_id, state, coalesce(j.n, 0) - coalesce(c.n, 0)
FROM (SELECT queue_id, state, count(*) AS n FROM headrace.job GROUP BY queue_id, state) AS j
FULL JOIN (SELECT queue_id, state, sum(n) AS n
           FROM (SELECT queue_id, state, n FROM headrace.counter
                 UNION ALL SELECT queue_id, state, n FROM headrace.counter_delta) AS every
           GROUP BY queue_id, state) AS c USING (queue_id, state)
WHERE coalesce(j.n, 0) <> coalesce(c.n, 0)
