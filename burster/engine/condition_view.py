"""What a policy's ``when`` is evaluated over: the values of the names it uses, and the same as integers for people.

Called by ``eligibility``. Reads the state and changes nothing. A value that is not known is left out, and never a zero.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Final

from burster.engine.accounting.money import WindowKind
from burster.engine.numbers import metrics
from burster.engine.state import PolicyEntry, State
from burster.model.limits import Budget
from burster.model.pods import Pod


_GIB: Final = 1024**3
_CORE: Final = 1000
_USD: Final = 1_000_000
_SECOND_MS: Final = 1000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

#: A value, and what people are shown of it: None where it is no whole number of anything.
_Read = tuple[object, tuple[str, int] | None]


@dataclass(frozen=True, slots=True)
class Seen:
    """Values by the names of the language, and numbers by names with units."""

    values: dict[str, object]
    numbers: dict[str, int]


def see(state: State, entry: PolicyEntry, names: Iterable[str], pod: Pod | None = None) -> Seen:
    """Return what these names are worth now; those of ``pod`` only where one is given."""
    values: dict[str, object] = {}
    numbers: dict[str, int] = {}
    for name in sorted(names):
        read = _read(state, entry, name, pod)
        if read is not None:
            values[name], shown = read
            if shown is not None:
                numbers[shown[0]] = shown[1]
    return Seen(values, numbers)


def _read(state: State, entry: PolicyEntry, name: str, pod: Pod | None) -> _Read | None:
    group, _, rest = name.partition(".")
    if group == "now":
        return _now(state)
    if group == "metrics":
        return dict(sorted(metrics.values(state, entry.policy.key).items())), None
    if group == "budget":
        return _budget(state, entry, rest)
    if group == "pod":
        return None if pod is None else _POD[rest](state, pod)
    return {"pending": _PENDING, "onprem": _ONPREM, "cloud": _CLOUD}[group][rest](state, entry)


def _now(state: State) -> _Read | None:
    try:
        return _EPOCH + timedelta(milliseconds=state.now_ms), ("now_ms", state.now_ms)
    except OverflowError:  # later than the year 9999
        return None


# --- amounts ----------------------------------------------------------------------------------------------------------


def _count(name: str, number: int) -> _Read:
    return number, (name, number)


def _cores(name: str, millicores: int) -> _Read:
    return millicores / _CORE, (f"{name}_millicores", millicores)


def _gib(name: str, size: int) -> _Read:
    return size / _GIB, (f"{name}_bytes", size)


def _seconds(name: str, duration_ms: int) -> _Read:
    return duration_ms / _SECOND_MS, (f"{name}_ms", duration_ms)


def _percent(name: str, part: int, whole: int) -> _Read | None:
    """Return a share, shown in thousandths of a percent; of nothing there is none."""
    return None if whole <= 0 else (part * 100 / whole, (f"{name}_milli_percent", part * 100_000 // whole))


# --- the groups -------------------------------------------------------------------------------------------------------

_OfPolicy = Callable[[State, PolicyEntry], "_Read | None"]
_OfPod = Callable[[State, Pod], "_Read | None"]


def _oldest(state: State, entry: PolicyEntry) -> _Read:
    since_ms = min((place[1] for place in entry.queued.values()), default=state.now_ms)
    return _seconds("pending_oldest", max(0, state.now_ms - since_ms))


def _resources(what: str, of_memory: bool) -> dict[str, _OfPolicy]:  # noqa: FBT001 - one of two
    def amounts(state: State) -> tuple[int, int]:
        there, asked = state.capacity_allocatable, state.capacity_requested
        return (there.memory_bytes, asked.memory_bytes) if of_memory else (there.cpu_millicores, asked.cpu_millicores)

    def reader(part: str, amount: Callable[[int, int], int]) -> _OfPolicy:
        def read(state: State, _entry: PolicyEntry) -> _Read | None:
            if not (state.capacity_nodes if part == "allocatable" else state.capacity_known):
                return None
            return (_gib if of_memory else _cores)(f"onprem_{what}_{part}", amount(*amounts(state)))

        return read

    def percent(state: State, _entry: PolicyEntry) -> _Read | None:
        there, asked = amounts(state)
        return _percent(f"onprem_{what}", asked, there) if state.capacity_known else None

    return {
        f"{what}.allocatable": reader("allocatable", lambda there, _asked: there),
        f"{what}.requested": reader("requested", lambda _there, asked: asked),
        f"{what}.free": reader("free", lambda there, asked: max(0, there - asked)),
        f"{what}Percent": percent,
    }


def _by_target(entry: PolicyEntry) -> dict[str, int]:
    found: dict[str, int] = {}
    for (target, _, _), count in sorted(entry.places.items()):
        found[target] = found.get(target, 0) + count
    return found


def _by_provider(state: State, entry: PolicyEntry) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, count in _by_target(entry).items():
        target = state.targets.get(name)
        if target is not None:
            found[target.target.provider] = found.get(target.target.provider, 0) + count
    return found


_PENDING: Final[Mapping[str, _OfPolicy]] = {
    "count": lambda _state, entry: _count("pending", len(entry.queued)),
    "cpu": lambda _state, entry: _cores(
        "pending_cpu", sum(shape.requests.cpu_millicores * count for shape, count in entry.shapes.items())
    ),
    "memoryGiB": lambda _state, entry: _gib(
        "pending_memory", sum(shape.requests.memory_bytes * count for shape, count in entry.shapes.items())
    ),
    "oldestSeconds": _oldest,
}
_ONPREM: Final[Mapping[str, _OfPolicy]] = {
    "nodes": lambda state, _entry: _count("onprem_nodes", state.capacity_nodes) if state.capacity_nodes else None,
    **_resources("cpu", of_memory=False),
    **_resources("memory", of_memory=True),
}
_CLOUD: Final[Mapping[str, _OfPolicy]] = {
    "bursts": lambda _state, entry: _count("cloud_bursts", entry.active),
    "vcpus": lambda _state, entry: _count("cloud_vcpus", entry.vcpus),
    "byTarget": lambda _state, entry: (_by_target(entry), None),
    "byProvider": lambda state, entry: (_by_provider(state, entry), None),
}


def _budget(state: State, entry: PolicyEntry, rest: str) -> _Read:
    kind, _, part = rest.partition(".")
    budget = entry.policy.limits.budget
    account = entry.account
    window: WindowKind = "hour" if kind == "hour" else "day" if kind == "day" else "month"
    spent = account.window(window, state.now_ms, budget.timezone).settled_micro_usd
    reserved = account.outstanding_micro_usd
    limit = _limit(budget, window)
    if part in {"limit", "left"} and limit is None:
        return inf, None
    left = max(0, (limit or 0) - spent - reserved)
    amount = {"limit": limit or 0, "spent": spent, "reserved": reserved, "left": left}[part]
    return amount / _USD, (f"budget_{kind}_{part}_micro_usd", amount)


def _limit(budget: Budget, window: WindowKind) -> int | None:
    return {
        "hour": budget.per_hour_micro_usd,
        "day": budget.per_day_micro_usd,
        "month": budget.per_month_micro_usd,
    }[window]


def _devices(pod: Pod) -> dict[str, int]:
    gpus = {"nvidia.com/gpu": pod.requests.gpus} if pod.requests.gpus else {}
    return dict(sorted({**gpus, **dict(pod.requests.devices)}.items()))


def _waited(state: State, pod: Pod) -> _Read | None:
    since_ms = pod.unschedulable_since_ms
    return None if since_ms is None else _seconds("pod_waited", max(0, state.now_ms - since_ms))


_POD: Final[Mapping[str, _OfPod]] = {
    "namespace": lambda _state, pod: (pod.namespace, None),
    "name": lambda _state, pod: (pod.name, None),
    "kind": lambda _state, pod: (pod.workload.kind if pod.workload else "Pod", None),
    "workload": lambda _state, pod: (pod.workload.name if pod.workload else pod.name, None),
    "labels": lambda _state, pod: (dict(sorted(pod.labels.items())), None),
    "priority": lambda _state, pod: _count("pod_priority", pod.priority),
    "cpu": lambda _state, pod: _cores("pod_cpu", pod.requests.cpu_millicores),
    "memoryGiB": lambda _state, pod: _gib("pod_memory", pod.requests.memory_bytes),
    "waitedSeconds": _waited,
    "devices": lambda _state, pod: (_devices(pod), None),
}
