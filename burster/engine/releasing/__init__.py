"""Coming home and not going: which bursts are no longer needed, and when waiting is better than renting."""
