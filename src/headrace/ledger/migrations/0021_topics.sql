-- Topics: an event that is published becomes a job of each subscription, in one transaction.
CREATE TABLE headrace.subscription (
    topic      text        NOT NULL,
    name       text        NOT NULL,
    task       text        NOT NULL REFERENCES headrace.task (name),
    argument   text        NOT NULL,
    app        text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, name)
);
COMMENT ON COLUMN headrace.subscription.argument IS 'the argument of the task that is the event';
