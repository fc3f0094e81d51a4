"""What a burst costs, from what is known of its VMs. Asked by ``lifecycle_actions``, ``overspend`` and the views; changes nothing."""

from burster.engine.state import BurstEntry, State
from burster.model.quantities import cost_micro_usd


def running_vms(entry: BurstEntry) -> int:
    """Return how many VMs are paid for now: one at least, as one is always expected."""
    return max(1, sum(end_ms is None for _, end_ms in entry.vms.values()))


def unbooked_since_ms(entry: BurstEntry) -> int | None:
    """Return since when what a burst costs is not settled yet; None where nobody knows when it began."""
    starts = [start_ms for start_ms, _ in entry.vms.values() if start_ms is not None]
    return entry.booked_until_ms or min(starts, default=entry.burst.status.placed_at_ms)


def real_cost_micro_usd(state: State, entry: BurstEntry, since_ms: int = 0) -> int:
    """Return what the burst's VMs cost until now, or from ``since_ms`` until now: each from its creation to its confirmed end, rounded up.

    Where the cloud could not be asked while the pod was there, or no VM was ever seen of a pod that ran, or that came and went while the
    controller was down, the time since the pod was placed is taken: never less than the truth.
    """
    price = entry.burst.spec.price_micro_usd_per_hour
    if entry.vms or (entry.vms_known and not entry.ran and not entry.unwatched):
        return sum(
            cost_micro_usd(
                price, max(0, (state.now_ms if end_ms is None else end_ms) - max(since_ms, start_ms or state.now_ms))
            )
            for start_ms, end_ms in entry.vms.values()
        )
    placed_at = entry.burst.status.placed_at_ms
    return 0 if placed_at is None else cost_micro_usd(price, max(0, state.now_ms - max(since_ms, placed_at)))
