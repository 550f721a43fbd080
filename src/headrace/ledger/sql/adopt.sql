-- adopt: the ledger gives out jobs while a worker holds some that the lane gave it: from now on it
-- owns them here. Only under the present epoch, held for as long as this takes: one that comes after
-- the lane is used again would take what it gave to another (tests/model, twin `adopt_without_epoch`).
-- In the order of all batches (postgres.py).
-- $1 epoch, $2 worker, $3 ids, $4 gens, $5 call numbers.
WITH lane AS (
    SELECT FROM headrace.lane WHERE name = 'main' AND epoch = $1 AND mode = 'direct' FOR SHARE
), held AS (
    SELECT j.id, j.gen, v.claim_no
    FROM lane, unnest($3::uuid[], $4::int[], $5::int[]) AS v (id, gen, claim_no)
    JOIN headrace.job j ON j.id = v.id AND j.gen = v.gen AND j.state = 0
     AND coalesce(j.owner, $2) = $2  -- no index of owners serves: the ids do
    ORDER BY j.id
    FOR NO KEY UPDATE OF j
)
UPDATE headrace.job j SET owner = $2, claim_no = held.claim_no
FROM held
WHERE j.id = held.id AND j.gen = held.gen
RETURNING j.id, j.gen
