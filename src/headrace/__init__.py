"""Durable jobs for Python: PostgreSQL keeps them, Redis or Valkey carries them, workers turn."""
