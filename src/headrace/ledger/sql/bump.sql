-- bump: take jobs from workers that hold them in the lane no more, or may hold them no more (R1, A5).
-- Only under the lane's own epoch, held for as long as this takes (A7): an expiry seen before a loss
-- of data says nothing. What cannot have started goes back without blame, as in reap; so does a last
-- attempt that is in nobody's hands here, and whatever is claimed first, since it starts only once it is
-- claimed (tests/model, twin `bump_blames_the_unclaimed`). So none of these is over.
-- $1 epoch, $2 ids, $3 gens, $4 their workers, $5 the calls that gave them, $6 the error of a run cut
-- short (JSON).
WITH lane AS (
    SELECT FROM headrace.lane WHERE name = 'main' AND epoch = $1 AND mode = 'hybrid' FOR SHARE
), cut AS (
    SELECT j.id, j.gen, v.worker,
           headrace.may_have_run(v.worker, w.left_with, j.id, j.gen, j.queue_id, v.call)
           AND NOT headrace.spent(j.failures, j.crashes + 1, j.max_attempts, j.rerun_on_crash)
           AND NOT coalesce(j.headers ? 'claim', false) AS ran
    FROM lane, unnest($2::uuid[], $3::int[], $4::uuid[], $5::bigint[]) AS v (id, gen, worker, call)
    JOIN headrace.job j ON j.id = v.id AND j.gen = v.gen AND j.state = 0
     AND num_nulls(j.owner) = 1  -- as in stale.sql
    LEFT JOIN headrace.worker w ON w.id = v.worker
    ORDER BY j.id
    FOR NO KEY UPDATE OF j SKIP LOCKED
), bumped AS (
    UPDATE headrace.job j
    SET gen = j.gen + 1, xid = pg_current_xact_id(), crashes = j.crashes + cut.ran::int,
        settled_at = CASE WHEN cut.ran THEN now() ELSE j.settled_at END,
        error = CASE WHEN cut.ran THEN $6::jsonb ELSE j.error END
    FROM cut
    WHERE j.id = cut.id AND j.gen = cut.gen
    RETURNING j.id, j.gen, cut.worker, cut.ran
), history AS (
    INSERT INTO headrace.job_event (job_id, gen, kind, actor, data)
    SELECT id, gen - 1, 'crash', 'reaper', jsonb_build_object('worker', worker)
    FROM bumped WHERE ran
)
SELECT id FROM bumped
