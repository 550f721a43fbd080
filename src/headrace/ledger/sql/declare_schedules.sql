-- declare_schedules: what the code of an application says. New words win over what is there, words
-- that were said before over nothing: what operators changed since stays, a pause always does. From
-- a change of its timing on the ticks are new ones. $1 application, $2 who, $3 an array of name,
-- timing and job. In one order for all, so that two callers wait and never deadlock.
WITH said AS (
    SELECT name, timing, job, jsonb_build_object('timing', timing, 'job', job) AS words
    FROM jsonb_to_recordset($3::jsonb) AS s (name text, timing jsonb, job jsonb)
), changed AS (
    INSERT INTO headrace.schedule AS s (name, app, declared, timing, job)
    SELECT n.name, $1, n.words, n.timing, n.job
    FROM said n
    WHERE NOT EXISTS (SELECT FROM headrace.schedule h WHERE h.name = n.name AND h.app = $1
                      AND h.declared = n.words AND NOT h.undeclared)
    ORDER BY n.name
    ON CONFLICT (name) DO UPDATE
    SET app = excluded.app, declared = excluded.declared, undeclared = false,
        timing = CASE WHEN s.declared = excluded.declared THEN s.timing ELSE excluded.timing END,
        job = CASE WHEN s.declared = excluded.declared THEN s.job ELSE excluded.job END,
        version = s.version + 1, error = NULL, changed_at = now(),
        cursor = CASE WHEN NOT s.undeclared AND (s.declared = excluded.declared
                                                 OR s.timing = excluded.timing)
                      THEN s.cursor ELSE now() END,
        due_at = CASE WHEN NOT s.paused THEN now() END
    RETURNING s.name, s.declared
)
SELECT name, headrace.schedule_changed(name, 'declared', $2, declared) FROM changed
