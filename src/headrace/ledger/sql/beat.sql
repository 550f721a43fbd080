-- beat: a worker lives. Refused (no row) once it was reaped.
-- $1 worker, $2 ids in hand, $3 their gens, $4 the last call all of whose predecessors are answered,
-- $5 the epoch of the lane that it goes by, $6 how many jobs it runs.
-- Gives back what the worker owns without knowing it: rows of answered calls whose reply was lost
-- (A1: rows of calls still in flight are left alone). Returns one row at least, and
-- one for each attempt in hand that no longer counts; each says how the lane is now, and what in hand
-- somebody wants to end.
-- Neither part joins: a hand may hold ten thousand jobs, and without statistics the planner compares
-- each of them with each job that there is.
WITH hand AS (
    SELECT * FROM unnest($2::uuid[], $3::int[]) AS h (id, gen)
), alive AS (
    UPDATE headrace.worker SET beats = beats + 1, beat_at = now(), heeds = $5, busy = $6
    WHERE id = $1 AND reaped_at IS NULL
    RETURNING id
), orphan AS (
    UPDATE headrace.job j
    SET owner = NULL, gen = j.gen + 1, xid = pg_current_xact_id(), claim_no = NULL, started_at = NULL
    WHERE j.owner = (SELECT id FROM alive) AND j.state = 0 AND j.claim_no <= $4
      AND (j.id, j.gen) NOT IN (SELECT id, gen FROM hand)
    RETURNING j.id
), gone AS (
    SELECT hand.id, hand.gen FROM hand
    WHERE (SELECT j.gen FROM headrace.job j WHERE j.id = hand.id AND j.state = 0)
          IS DISTINCT FROM hand.gen
)
SELECT alive.id AS worker, gone.id AS lost_id, gone.gen AS lost_gen, lane.epoch, lane.mode, lane.voted,
       lane.calm, lane.ledger,
       (SELECT jsonb_agg(jsonb_build_object('job_id', job_id, 'actor', actor, 'reason', reason))
        FROM headrace.cancellation WHERE job_id = ANY ($2::uuid[]))::text AS cancellations,
       (SELECT headrace.promises()) AS promises
FROM alive JOIN headrace.lane ON lane.name = 'main' LEFT JOIN gone ON true
