-- fold_counters: add the deltas written so far to the totals.
WITH taken AS (
    DELETE FROM headrace.counter_delta RETURNING queue_id, state, n
)
INSERT INTO headrace.counter AS c (queue_id, state, n)
SELECT queue_id, state, sum(n) FROM taken GROUP BY queue_id, state
ON CONFLICT (queue_id, state) DO UPDATE SET n = c.n + excluded.n
