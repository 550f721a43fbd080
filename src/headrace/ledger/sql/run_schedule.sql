-- run_schedule: make its job once more, now. $1 name, $2 who, $3 the job, as headrace.insert_jobs
-- takes it. Returns its id.
SELECT i.job_id,
       headrace.schedule_changed($1, 'run', $2, jsonb_build_object('job', i.job_id))
FROM headrace.insert_jobs(jsonb_build_array($3::text::jsonb)) AS i
