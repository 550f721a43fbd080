"""The durable record: PostgreSQL."""
