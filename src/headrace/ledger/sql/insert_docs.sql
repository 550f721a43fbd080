-- insert_docs: jobs given as JSON, from any transaction, and all that may wait for another one.
-- $1 the array of documents that headrace.add_jobs takes. Returns place, job_id, duplicate, blocked, and
-- seated: it needs seats.
SELECT place, job_id, duplicate, blocked, seated FROM headrace.add_jobs(CAST($1 AS jsonb))
