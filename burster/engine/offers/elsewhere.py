"""A target that is left alone as a whole for a while: its nodes are full, or its cloud refuses in words that nobody here understands."""

from burster.engine.offers import capacity
from burster.engine.state import BurstEntry, State
from burster.model.decisions import Reason
from burster.model.quantities import format_duration_ms


def leave_alone(state: State, entry: BurstEntry, code: str, why: str, rest_ms: int) -> Reason:
    """Leave a burst's target alone for what is as large or larger, and have everybody look again when that is over; say so."""
    spec = entry.burst.spec
    until_ms = state.now_ms + rest_ms
    target = state.targets.get(spec.target)
    offered = target.offerings if target is not None else ()
    offering = next((one for one in offered if (one.size, one.region) == (spec.size, spec.region)), None)
    if offering is not None:
        lately = Reason(code=code, sentence=f"{spec.target} {why} lately.")
        capacity.remember_pool(state, offering, "*", until_ms, lately, from_vcpus=spec.vcpus)
        for key in state.policies:
            state.at(until_ms, "reopen", key)
    told = f"Another target is tried next: {spec.target} is left alone for what is as large or larger, for {format_duration_ms(rest_ms)}."
    return Reason(code="NextTarget", sentence=told, numbers={"until_ms": until_ms})
