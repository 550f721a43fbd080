-- lane_switch: a new epoch in another mode, if the epoch is still the one that the caller saw: of
-- several who notice one wins. What a lane gave out needs time to be told or given up, so it is not
-- calm; what the ledger gave out is known by its owner.
-- $1 the epoch seen, $2 the mode, $3 held, $4 voted, $5 an epoch that must be passed, too. Returns the
-- new view.
UPDATE headrace.lane
SET epoch = greatest(epoch, $5) + 1, mode = $2, held = $3, voted = $4,
    calm = calm AND mode = 'direct',
    fence = NULL, since = now(), tide = tide + 1, mark = gen_random_uuid()
WHERE name = 'main' AND epoch = $1
RETURNING epoch, mode, held, voted, calm, fence::text AS fence, ledger, tide, mark,
          headrace.promises() AS promises
