-- lane_mark: the next mark, to be left in the lane that gives out jobs. $1 its epoch. Returns the view.
UPDATE headrace.lane SET tide = tide + 1, mark = gen_random_uuid()
WHERE name = 'main' AND epoch = $1 AND mode = 'hybrid'
RETURNING epoch, mode, held, voted, calm, fence::text AS fence, ledger, tide, mark,
          headrace.promises() AS promises
