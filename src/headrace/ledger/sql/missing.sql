-- missing: which of these ids the ledger does not have. $1 ids.
SELECT id FROM unnest($1::uuid[]) AS asked (id)
WHERE NOT EXISTS (SELECT 1 FROM headrace.job j WHERE j.id = asked.id)
