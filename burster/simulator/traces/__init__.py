"""Traces: what arrived when, for how long, and what it asked for. Used by the simulator and by the lab's trace player."""

from burster.simulator.traces.load import read_trace
from burster.simulator.traces.model import Trace, TraceEntry


__all__ = ["Trace", "TraceEntry", "read_trace"]
