"""The pure core: step(state, stimuli, now) -> state, instructions, decisions."""
