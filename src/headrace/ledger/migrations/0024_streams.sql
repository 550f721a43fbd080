-- Streams: what was told to a user, say, is kept for a while, so that who comes back reads it after all.
-- The row of a stream is locked until its publisher commits: ids are in the order of the commits.
CREATE TABLE headrace.stream (
    name text        PRIMARY KEY,
    last bigint      NOT NULL,
    gone bigint      NOT NULL
) WITH (fillfactor = 50);
COMMENT ON COLUMN headrace.stream.last IS 'the id of its last event; those between have no holes';
COMMENT ON COLUMN headrace.stream.gone IS 'events up to this id are kept no more';

CREATE TABLE headrace.stream_event (
    stream text        NOT NULL,
    id     bigint      NOT NULL,
    kind   text        NOT NULL,
    at     timestamptz NOT NULL,
    data   jsonb       NOT NULL,
    PRIMARY KEY (stream, id)
);
CREATE INDEX stream_event_at ON headrace.stream_event (at);
