"""The append-only record of stimuli, decisions and spend."""
