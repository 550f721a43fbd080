-- verify_owners: running jobs whose owner the ledger does not know, so that nobody reaps it.
-- $1 how many to walk or null, $2 how many to show.
SELECT j.id::text AS subject, 'its owner ' || j.owner || ' is no known worker' AS detail
FROM (SELECT id, owner FROM headrace.job WHERE state = 0 AND owner IS NOT NULL LIMIT $1) AS j
WHERE NOT EXISTS (SELECT FROM headrace.worker w WHERE w.id = j.owner)
LIMIT $2
