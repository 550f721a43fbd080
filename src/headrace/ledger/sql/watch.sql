-- watch: the beats of every living worker, for the reaper to compare over time.
SELECT id, beats FROM headrace.worker WHERE reaped_at IS NULL
