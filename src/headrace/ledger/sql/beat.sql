-- beat: a worker lives. Refused (no row) once it was reaped.
-- $1 worker, $2 ids in hand, $3 their gens, $4 the last call all of whose predecessors are answered.
-- Gives back what the worker owns without knowing it: rows of answered calls whose reply was lost
-- (A1: rows of calls still in flight are left alone). Returns the ids in hand that are no longer its.
WITH alive AS (
    UPDATE headrace.worker SET beats = beats + 1, beat_at = now()
    WHERE id = $1 AND reaped_at IS NULL
    RETURNING id
), orphan AS (
    UPDATE headrace.job j
    SET owner = NULL, gen = j.gen + 1, xid = pg_current_xact_id(), claim_no = NULL, started_at = NULL
    WHERE j.owner = (SELECT id FROM alive) AND j.state = 0 AND j.claim_no <= $4
      AND j.id <> ALL ($2::uuid[])
    RETURNING j.id
), gone AS (
    SELECT v.id FROM unnest($2::uuid[], $3::int[]) AS v (id, gen)
    WHERE NOT EXISTS (SELECT 1 FROM headrace.job j WHERE j.id = v.id AND j.gen = v.gen AND j.state = 0)
)
SELECT alive.id AS worker, (SELECT array_agg(gone.id) FROM gone) AS lost FROM alive
