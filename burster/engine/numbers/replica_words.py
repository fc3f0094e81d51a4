"""How a number of replicas is told: once when it changes, once when it is first held back. Called by the ``replica_*`` rooms."""

from burster.engine.numbers.scaler import Scaler
from burster.engine.state import PolicyEntry, State
from burster.model.decisions import Reason


def tell(  # noqa: PLR0913 - what was, what is wanted, what is given, and why
    state: State, entry: PolicyEntry, scaler: Scaler, *, current: int, granted: int, held: Reason | None, subject: str
) -> None:
    """Put on record what becomes of a number, unless it is what was told last.

    The first reason is what settled it: what holds it back, or the change; after it the chain from the values to the number wanted.
    """
    code = held.code if held is not None else "ReplicasChanged" if granted != current else ""
    told = (granted, code)
    if not code or scaler.told == told:
        if not code:
            scaler.told = (granted, "")
        return
    scaler.told = told
    what = "machines" if entry.policy.machine is not None else "replicas"
    change = Reason(
        code="ReplicasChanged",
        sentence=f"From {current} to {granted} {what}, of {scaler.number} wanted.",
        numbers={"current": current, "granted": granted, "wanted": scaler.number},
    )
    first = (change,) if held is None else (held,) if granted == current else (held, change)
    state.decide("Scale", *first, *scaler.chain, policy=entry.policy.key, subject=subject)
