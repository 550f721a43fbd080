-- Who hears the bus by LISTEN: nothing is told where nobody does. Worth nothing after a crash.
CREATE UNLOGGED TABLE headrace.audience (
    listener uuid        NOT NULL,
    channel  text        NOT NULL,
    until    timestamptz NOT NULL,
    PRIMARY KEY (listener, channel)
);
