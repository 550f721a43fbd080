-- watch: the beats of every living worker, for the reaper to compare over time, and its lease if it
-- told one.
SELECT id, beats, lease FROM headrace.worker WHERE reaped_at IS NULL
