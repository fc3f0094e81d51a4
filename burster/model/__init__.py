"""Values: what the engine takes, what it gives, and what it knows."""
