"""The only room with tasks: bus, batcher, loop, executor, clock, wiring."""
