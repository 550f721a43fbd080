"""What headrace tells of itself."""
