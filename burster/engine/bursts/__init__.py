"""The life of a burst, from intention to confirmed release, and what is seen and done on the way."""
