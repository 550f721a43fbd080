-- longest_lease: seconds that some worker may be silent before it is judged; 0 where none lives.
SELECT coalesce(max(lease), 0) AS lease FROM headrace.worker WHERE reaped_at IS NULL
