-- Topics: an event that is published becomes a job of each subscription, in one transaction.
CREATE TABLE headrace.subscription (
    topic      text        NOT NULL,
    name       text        NOT NULL,
    task       text        NOT NULL REFERENCES headrace.task (name),
    argument   text        NOT NULL,
    app        text        NOT NULL,
    on_dead    text        NOT NULL DEFAULT 'block' CHECK (on_dead IN ('block', 'skip')),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, name)
);
COMMENT ON COLUMN headrace.subscription.argument IS 'the argument of the task that is the event';
COMMENT ON COLUMN headrace.subscription.on_dead IS 'what a dead job means to later events of its key';
