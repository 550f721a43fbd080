-- standing: how jobs stand that an operator's call did not change. $1 ids.
SELECT id, state, priority, run_at > now() AS ahead, owner IS NOT NULL AND state = 0 AS owned
FROM headrace.job WHERE id = ANY ($1::uuid[])
