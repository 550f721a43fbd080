"""The lane on Redis or Valkey."""
