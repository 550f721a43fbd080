-- Rate limits: how many jobs may start in any window of some length, everywhere together.

-- most[i] starts in any span of spans[i] microseconds. `overridden`: an operator has set it since, so
-- that what applications declare changes nothing.
CREATE TABLE headrace.rate_limit (
    name       text        PRIMARY KEY,
    most       int[]       NOT NULL,
    spans      bigint[]    NOT NULL,
    overridden boolean     NOT NULL DEFAULT false,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- A log of marks in the order of time, in microseconds: `counts` (weights, all in all) between `firsts`
-- and `lasts`. Marks close to each other share an entry, which counts until its last has left.
CREATE TYPE headrace.rate_log AS (firsts bigint[], lasts bigint[], counts int[]);

-- One window of a limit, for one key. log: starts. lines: starts and what was put off since, for urgent
-- jobs and for all. ripple: the last instant that was promised to one that came too late for its own.
CREATE TABLE headrace.rate_window (
    name        text                NOT NULL REFERENCES headrace.rate_limit ON DELETE CASCADE,
    key         text                NOT NULL,
    span        bigint              NOT NULL,
    log         headrace.rate_log   NOT NULL DEFAULT ROW('{}', '{}', '{}')::headrace.rate_log,
    lines       headrace.rate_log[] NOT NULL DEFAULT ARRAY[ROW('{}', '{}', '{}'), ROW('{}', '{}', '{}')]::headrace.rate_log[],
    ripple      bigint              NOT NULL DEFAULT 0,
    rests_until bigint              NOT NULL DEFAULT 0,
    PRIMARY KEY (name, key, span)
) WITH (fillfactor = 50);
