"""The protocols between the parts, one a file."""
