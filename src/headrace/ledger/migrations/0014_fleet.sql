-- What `headrace top` shows of the processes at work. Workers and relays of earlier versions tell none of it.
ALTER TABLE headrace.worker ADD COLUMN busy int;
COMMENT ON COLUMN headrace.worker.busy IS 'jobs that it ran at its last beat';
COMMENT ON COLUMN headrace.worker.queues IS 'slots by queue; of earlier versions: names of queues';
ALTER TABLE headrace.leader ADD COLUMN host text, ADD COLUMN pid int;
