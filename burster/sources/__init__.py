"""The world, turned into stimuli."""
