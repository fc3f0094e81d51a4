"""Instructions, carried out in the world; outcomes come back as stimuli."""
