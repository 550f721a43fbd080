-- queue_rows: every queue, for the walk. Returns id, name, paused.
SELECT id, name, paused FROM headrace.queue
