"""The demo: real mail is read, stored and acknowledged, one durable job a message."""
