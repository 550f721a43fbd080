-- Whose lane it is: databases that share a server of lanes do not meet, and one that was restored or
-- copied is found out.

-- ledger: part of every key of the lane. A copy of this database has the same one, and a restored one
-- goes back in time; so every few seconds a mark is left, here first and then in the lane: a lane with
-- a mark of a higher tide, or of the same under another name, was carried for by another history.
ALTER TABLE headrace.lane
    ADD COLUMN ledger uuid   NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN tide   bigint NOT NULL DEFAULT 0,
    ADD COLUMN mark   uuid   NOT NULL DEFAULT gen_random_uuid();

-- Jobs that were cancelled while the lane could not be told: a relay removes what it still carries.
CREATE TABLE headrace.untold (
    job_id uuid PRIMARY KEY
);
