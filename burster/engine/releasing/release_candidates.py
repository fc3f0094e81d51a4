"""Who of a policy's serving bursts may come home, from when on, and in which order: what ``releases`` chooses from.

Called by ``releases`` alone. It must change nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

from burster.engine.bursts.lifecycle import ANSWERING
from burster.engine.state import BurstEntry, PolicyEntry, State, Surplus
from burster.model.pods import Resources


#: Between choosing a burst and sending it home.
RECHECK_MS: Final = 15_000
#: A draining burst holds up the next ones for its drain time and this much; what hangs longer is the kubelet's affair.
DRAIN_SLACK_MS: Final = 60_000
#: Of which there may be more than are wanted.
_BY_NUMBER: Final = frozenset({"Clone", "Machine"})
_WANT_CODES: Final = frozenset({"DemandGone", "RoomOnPrem"})


@dataclass(slots=True)
class Candidate:
    """A serving burst that nothing asks for."""

    entry: BurstEntry
    why: Literal["Demand", "Room", "Number"]
    since_ms: int
    ready_at_ms: int  #: not before
    recheck_ms: int = RECHECK_MS


@dataclass(slots=True)
class View:
    """One policy's bursts, as one look finds them."""

    policy: PolicyEntry
    serving: list[BurstEntry] = field(default_factory=list[BurstEntry])
    coming: list[BurstEntry] = field(default_factory=list[BurstEntry])  #: already on their way for want of demand
    launching: list[BurstEntry] = field(default_factory=list[BurstEntry])
    launched_at_ms: int = 0

    @property
    def allowed(self) -> int:
        """How many may be on their way at once."""
        percent = self.policy.policy.placement.disruption_percent
        return max(1, -(-(len(self.serving) + len(self.coming)) * percent // 100))


def is_of(entry: BurstEntry, policy: PolicyEntry) -> bool:
    """Say whether a burst is one of a policy's."""
    return entry.burst.spec.policy == policy.policy.name and entry.burst.namespace == policy.policy.namespace


def view_of(state: State, policy: PolicyEntry) -> View:
    """Return a policy's bursts by what can become of them."""
    view = View(policy=policy)
    for entry in state.bursts.values():
        if not is_of(entry, policy):
            continue
        status = entry.burst.status
        view.launched_at_ms = max(view.launched_at_ms, entry.burst.spec.decided_at_ms)
        if status.phase == "Serving" and entry.burst.spec.strategy in _BY_NUMBER:
            view.serving.append(entry)
        elif status.phase == "Draining" and (entry.unwanted or status.reason in _WANT_CODES):
            if state.now_ms < drained_by_ms(entry):
                view.coming.append(entry)
        elif status.phase in ANSWERING and entry.withdraw is None and entry.burst.spec.strategy in _BY_NUMBER:
            view.launching.append(entry)
    return view


def drained_by_ms(entry: BurstEntry) -> int:
    """Return until when a draining burst holds up the next ones."""
    return (entry.burst.status.draining_at_ms or 0) + entry.burst.spec.drain_ms + DRAIN_SLACK_MS


def candidates_of(state: State, view: View) -> list[Candidate]:
    """Return who may come home, now or later: those chosen already in front, then in the policy's order."""
    surplus = view.policy.surplus
    if surplus is not None:
        found = [_for_number(view, entry, surplus) for entry in view.serving]
        ripe = [one for one in found if one.ready_at_ms - one.recheck_ms <= state.now_ms]
        young = [one for one in found if one.ready_at_ms - one.recheck_ms > state.now_ms]
        ordered = _in_order(state, view, ripe) + _in_order(state, view, young)
        return ordered[: surplus.count]
    found = [_for_demand(view, one) for one in view.serving if one.burst.key in state.spares]
    if not found and view.policy.policy.placement.return_home == "WhenRoom" and not view.policy.queued:
        with_room = [_for_room(view, one) for one in view.serving if one.covers in state.pods and _has_room(view, one)]
        found = _fitting(state, _in_order(state, view, with_room))
    return _in_order(state, view, found)


def _for_demand(view: View, entry: BurstEntry) -> Candidate:
    rules = view.policy.policy
    since_ms = entry.surplus_since_ms or 0
    idle_ms = rules.placement.idle_ms
    ready_at_ms = max(
        since_ms + max(rules.scaling.cooldown_ms, idle_ms), view.launched_at_ms + idle_ms, lived_ms(view, entry)
    )
    # who declares less than the re-check wants no more than that
    return Candidate(entry, "Demand", since_ms, ready_at_ms, min(RECHECK_MS, ready_at_ms - since_ms))


def _has_room(view: View, entry: BurstEntry) -> bool:
    """Say whether room appeared after the policy's latest launch: a launch since then says that the scheduler can't use it."""
    return entry.room_since_ms is not None and view.launched_at_ms < entry.room_since_ms


def _for_room(view: View, entry: BurstEntry) -> Candidate:
    since_ms = entry.room_since_ms or 0
    idle_ms = view.policy.policy.placement.idle_ms
    return Candidate(
        entry,
        "Room",
        since_ms,
        max(since_ms + max(idle_ms, RECHECK_MS), lived_ms(view, entry)),
    )


def _for_number(view: View, entry: BurstEntry, surplus: Surplus) -> Candidate:
    idle_ms = view.policy.policy.placement.idle_ms
    ready_at_ms = max(surplus.since_ms + max(idle_ms, RECHECK_MS), view.launched_at_ms + idle_ms, lived_ms(view, entry))
    return Candidate(entry, "Number", surplus.since_ms, ready_at_ms)


def lived_ms(view: View, entry: BurstEntry) -> int:
    """Return when a burst has served for as long as the policy gives each."""
    return served_since_ms(entry) + view.policy.policy.placement.min_life_ms


def served_since_ms(entry: BurstEntry) -> int:
    """Return since when a burst serves."""
    serving_at_ms = entry.burst.status.serving_at_ms
    return entry.burst.spec.decided_at_ms if serving_at_ms is None else serving_at_ms


def _in_order(state: State, view: View, candidates: list[Candidate]) -> list[Candidate]:
    def place(one: Candidate) -> tuple[bool, int, bool, int, str]:
        first, second = rank(view, one.entry)
        unchosen = one.entry.going_at_ms is None
        return (unchosen, first, one.entry.burst.key not in state.spares, second, one.entry.burst.key)

    return sorted(candidates, key=place)


def rank(view: View, entry: BurstEntry) -> tuple[int, int]:
    """Return a burst's place in the policy's order of release, lowest first, and what decides between equals."""
    dear, served = -entry.burst.spec.price_micro_usd_per_hour, served_since_ms(entry)
    order = view.policy.policy.placement.release_order
    if order == "DearestFirst":
        return dear, -served
    return (-served, dear) if order == "YoungestFirst" else (served, dear)


def _fitting(state: State, candidates: Iterable[Candidate]) -> list[Candidate]:
    """Return those whose pods on-prem has room for all together, besides the pods that it was left with before."""
    if not state.capacity_known:
        return []
    free = minus(state.capacity_allocatable, state.capacity_requested)
    for key, (until_ms, asked, _) in state.held_off.items():
        if until_ms > state.now_ms and key in state.pods:
            free = minus(free, asked)
    found: list[Candidate] = []
    for candidate in candidates:
        asked = state.pods[candidate.entry.covers].pod.requests
        if asked.fits_in(free):
            free = minus(free, asked)
            found.append(candidate)
    return found


def minus(there: Resources, taken: Resources) -> Resources:
    """Return what is left, below zero where more is taken than there is."""
    gone = dict(taken.devices)
    return Resources(
        cpu_millicores=there.cpu_millicores - taken.cpu_millicores,
        memory_bytes=there.memory_bytes - taken.memory_bytes,
        gpus=there.gpus - taken.gpus,
        devices=tuple((name, count - gone.get(name, 0)) for name, count in there.devices),
    )
