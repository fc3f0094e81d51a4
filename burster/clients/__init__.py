"""Thin transports to the outside world; they know no policy."""
