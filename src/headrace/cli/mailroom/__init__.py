"""The mailroom at work: once and checked, as a show that goes on, and in a storm of kills."""
