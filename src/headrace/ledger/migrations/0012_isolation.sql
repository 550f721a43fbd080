-- Whether a job has used up its attempts: a run cut short by its worker's death is none of them, since
-- nobody knows whose fault that was; the job runs again, alone. Three of them, or as many as there are
-- attempts, are too many. A job of one attempt never starts twice, unless it says rerun_on_crash.
-- The same in Python: model/attempts.py.
CREATE OR REPLACE FUNCTION headrace.spent(
    failures int, crashes int, max_attempts int, rerun_on_crash boolean
) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN max_attempts = 1 AND NOT rerun_on_crash THEN failures + crashes >= 1
                ELSE failures >= max_attempts OR crashes >= greatest(3, max_attempts) END
$$;
