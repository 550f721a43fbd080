"""Real PostgreSQL and Valkey on loopback, for development, demo and tests."""

from headrace.embedded.postgres import EmbeddedPostgres
from headrace.embedded.shared import SharedStack, Urls
from headrace.embedded.stack import Stack
from headrace.embedded.valkey import EmbeddedValkey

__all__ = ["EmbeddedPostgres", "EmbeddedValkey", "SharedStack", "Stack", "Urls"]
