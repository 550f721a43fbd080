-- lane_part: a new identity, and so a lane of its own, for the copy of a database whose lane is in use.
-- $1 the epoch seen, $2 the identity seen. Returns the new view.
UPDATE headrace.lane
SET ledger = gen_random_uuid(), epoch = epoch + 1, calm = false, fence = NULL, since = now(),
    tide = tide + 1, mark = gen_random_uuid()
WHERE name = 'main' AND epoch = $1 AND ledger = $2 AND mode = 'rebuild'
RETURNING epoch, mode, held, voted, calm, fence::text AS fence, ledger, tide, mark,
          headrace.promises() AS promises
