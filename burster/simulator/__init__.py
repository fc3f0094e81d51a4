"""A virtual world around the same engine."""
