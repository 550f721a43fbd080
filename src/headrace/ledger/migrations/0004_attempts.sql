-- When a job may start again, in one place, and what a worker that left was still running.

-- Whether a job has used up its attempts (A5): each failure and each run that was cut short is one.
-- With rerun_on_crash only failures count, and three crashes are too many all the same.
-- The same in Python: model/attempts.py.
CREATE FUNCTION headrace.spent(failures int, crashes int, max_attempts int, rerun_on_crash boolean)
RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN rerun_on_crash THEN failures >= max_attempts OR crashes >= 3
                ELSE failures + crashes >= max_attempts END
$$;

-- A worker that left by itself: the jobs that it was still running, as {id: generation}. All else
-- that it owns never started. Null: it lives or was taken for dead.
ALTER TABLE headrace.worker ADD COLUMN left_with jsonb;
