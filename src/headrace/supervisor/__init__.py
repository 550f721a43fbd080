"""Processes: what runs in one, and how several are kept alive."""
