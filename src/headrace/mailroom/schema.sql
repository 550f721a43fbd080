-- The mailroom's own tables, in the same database as the ledger so that both commit together.
CREATE SCHEMA IF NOT EXISTS mailroom;

CREATE TABLE IF NOT EXISTS mailroom.batch (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source     text        NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS mailroom.content (
    sha256 text  PRIMARY KEY,
    bytes  bytea NOT NULL
);

CREATE TABLE IF NOT EXISTS mailroom.message (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    batch      bigint      NOT NULL REFERENCES mailroom.batch,
    key        text        NOT NULL,
    sha256     text        NOT NULL REFERENCES mailroom.content,
    job_id     uuid        NOT NULL,
    stored_at  timestamptz,
    kind       text,
    message_id text,
    subject    text,
    sender     text,
    date       timestamptz,
    body       text,
    html       text,
    charsets   text[],
    defects    text[],
    answer_to  text,
    answer_job uuid,
    answered_at timestamptz,
    UNIQUE (batch, key)
);

CREATE TABLE IF NOT EXISTS mailroom.attachment (
    message      bigint NOT NULL REFERENCES mailroom.message,
    place        int    NOT NULL,
    filename     text,
    content_type text   NOT NULL,
    sha256       text   NOT NULL,
    bytes        bytea  NOT NULL,
    PRIMARY KEY (message, place)
);
