-- add_partition: a day's partitions of job and job_event. $1 day.
SELECT headrace.add_partition($1)
