-- Jobs that were cancelled while the lane could not be told: a relay removes what it still carries.
CREATE TABLE headrace.untold (
    job_id uuid PRIMARY KEY
);
