"""Burst records to API objects and back.

On the wire a field is the model's in camelCase: ``*_at_ms`` and ``*_until_ms`` are RFC 3339 times with milliseconds, money is integer
``…MicroUsd``, durations are integer ``…Ms``. The tables are made from the model, so a new field of the model is carried at once (the
CRD's model in ``statuses`` must name it too; a test holds them equal). What is unset is left out; what has a value is always
written, defaults too: a record must mean the same after the defaults have changed. Called by the adaptors that write records and the source
that watches them; never talks to the API itself.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from burster.model.bursts import Burst, BurstSpec, BurstStatus, InitdataSource, MachineSource, PodRef
from burster.model.errors import InputError
from burster.model.quantities import format_micro_usd
from burster.model.triggers import WorkloadRef
from burster.policy.schema import API_VERSION, GROUP


BURST_LABEL: Final = f"{GROUP}/burst"
POLICY_LABEL: Final = f"{GROUP}/policy"
DRAIN_FINALIZER: Final = f"{GROUP}/drain"  #: on a policy of which something is left
MESSAGE_MAX: Final = 1_024

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_UNSET: Final = object()  # equals nothing
_REASON: Final = re.compile(r"[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?")
#: phases in which the cloud pod exists, as a scale client should see it
_WITH_POD: Final = frozenset({"Provisioning", "Attesting", "Serving", "Draining"})


class _Field(msgspec.Struct, frozen=True):
    """How one field of the model travels."""

    name: str
    wire: str
    unset: Any  #: the value that is left out
    time: bool
    inner: tuple["_Field", ...]


def _table(model: type[msgspec.Struct]) -> tuple[_Field, ...]:
    fields: list[_Field] = []
    for field in msgspec.structs.fields(model):
        time = field.name.endswith(("_at_ms", "_until_ms"))
        default = field.default
        nothing = default is None or (isinstance(default, str | tuple) and not default) or (time and default == 0)
        if field.default_factory is dict:
            default, nothing = {}, True
        fields.append(
            _Field(
                name=field.name,
                wire=_camel(field.name.removesuffix("_ms") if time else field.name),
                unset=default if nothing else _UNSET,
                time=time,
                inner=_table(_INNER[field.name]) if field.name in _INNER else (),
            )
        )
    return tuple(fields)


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


_INNER: Final[dict[str, type[msgspec.Struct]]] = {
    "for_pod": PodRef,
    "workload": WorkloadRef,
    "initdata": InitdataSource,
    "machine": MachineSource,
}
_SPEC: Final = _table(BurstSpec)
_STATUS: Final = _table(BurstStatus)


def wire_names(model: type[BurstSpec | BurstStatus]) -> tuple[str, ...]:
    """Return the names that a model's fields have on the wire."""
    return tuple(field.wire for field in (_SPEC if model is BurstSpec else _STATUS))


def format_time(at_ms: int) -> str:
    """Return epoch milliseconds as RFC 3339 in UTC: ``2026-11-22T00:00:00.000Z``."""
    return (_EPOCH + at_ms * _MILLISECOND).isoformat(timespec="milliseconds")[:-6] + "Z"


def parse_time(text: str) -> int:
    """Return an RFC 3339 time as epoch milliseconds. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone: write it as 2026-11-22T00:00:00.000Z")
    return (moment - _EPOCH) // _MILLISECOND


def burst_to_object(
    burst: Burst,
    *,
    annotations: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    finalizers: Iterable[str] = (),
    owner_references: Iterable[Mapping[str, Any]] = (),
    pod_manifest: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the Burst object of a record, status included; ``pod_manifest`` is the moved pod's, kept in ``spec.podManifest``.

    The labels name the record's policy, so that ``kubectl get bursts -l burster.dev/policy=…`` works.
    """
    metadata: dict[str, Any] = {
        "namespace": burst.namespace,
        "name": burst.name,
        "labels": {POLICY_LABEL: burst.spec.policy, **(labels or {})},
    }
    if burst.uid:
        metadata["uid"] = burst.uid
    if annotations:
        metadata["annotations"] = dict(annotations)
    if references := [dict(reference) for reference in owner_references]:
        metadata["ownerReferences"] = references
    if kept := list(finalizers):
        metadata["finalizers"] = kept
    spec = _to_wire(burst.spec, _SPEC)
    spec["replicas"] = 1
    if pod_manifest is not None:
        spec["podManifest"] = dict(pod_manifest)
    return {
        "apiVersion": API_VERSION,
        "kind": "Burst",
        "metadata": metadata,
        "spec": spec,
        "status": _to_wire(burst.status, _STATUS),
    }


def burst_from_object(obj: Mapping[str, Any]) -> Burst:
    """Return the record that a Burst object holds. Raises InputError where it is none: somebody else has written it."""
    try:
        metadata = obj["metadata"]
        spec = msgspec.convert(_from_wire(obj["spec"], _SPEC), BurstSpec)
        _check_for_pod(spec)
        return Burst(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata.get("uid") or "",
            spec=spec,
            status=msgspec.convert(_from_wire(obj.get("status") or {}, _STATUS), BurstStatus),
            deleting=bool(metadata.get("deletionTimestamp")),
        )
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise InputError(
            f"Burst {_name(obj)} is not as burster writes it ({_cause(error)}): delete it or restore it"
        ) from None


def _check_for_pod(spec: BurstSpec) -> None:
    """Only a clone may stand for no pod in particular, and half a reference is none. Raises ValueError."""
    name, uid = spec.for_pod.name, spec.for_pod.uid
    if bool(name) != bool(uid):
        raise ValueError("spec.forPod must have both name and uid, or be left out")
    if not name and spec.strategy == "Move":
        raise ValueError(f"spec.forPod must have name and uid: a {spec.strategy} is of one pod")
    if (spec.machine is not None) != (spec.strategy == "Machine"):
        raise ValueError("spec.machine is what strategy Machine has, and no other")


def _name(obj: object) -> str:
    metadata = obj.get("metadata") if isinstance(obj, Mapping) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] (JSON)
    if not isinstance(metadata, Mapping):
        return "without metadata"
    return f"{metadata.get('namespace', '')}/{metadata.get('name', '')}"  # pyright: ignore[reportUnknownMemberType] (JSON)


def _cause(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def _to_wire(value: msgspec.Struct, table: tuple[_Field, ...]) -> dict[str, Any]:
    wire: dict[str, Any] = {}
    for field in table:
        item = getattr(value, field.name)
        if item is None or item == field.unset:
            continue
        if field.time:
            item = format_time(item)
        elif field.inner:
            item = _to_wire(item, field.inner)
        elif isinstance(item, tuple):
            item = list(item)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] (JSON)
        wire[field.wire] = item
    return wire


def _from_wire(wire: Mapping[str, Any], table: tuple[_Field, ...]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for field in table:
        item = wire.get(field.wire)
        if item is None:
            continue
        if field.time:
            item = parse_time(item)
        elif field.inner:
            item = _from_wire(item, field.inner)
        values[field.name] = item
    return values


def status_to_object(
    burst: Burst, *, conditions: Iterable[Mapping[str, Any]] | None = None, observed_generation: int | None = None
) -> dict[str, Any]:
    """Return the body of a server-side apply to the status subresource: the whole status, and what people and scale clients read."""
    status = _to_wire(burst.status, _STATUS)
    if observed_generation is not None:
        status["observedGeneration"] = observed_generation
    derived = burst_conditions(burst, observed_generation=observed_generation) if conditions is None else conditions
    status["conditions"] = [dict(condition) for condition in derived]
    settled = burst.status.settled_micro_usd
    reserved = burst.status.reserved_micro_usd or burst.spec.reserved_micro_usd
    status["costUsd"] = format_micro_usd(reserved if settled is None else settled)
    if burst.status.vms:
        status["vm"] = burst.status.vms[-1]
    status["replicas"] = int(burst.status.phase in _WITH_POD)
    status["selector"] = f"{BURST_LABEL}={burst.name}"
    return {
        "apiVersion": API_VERSION,
        "kind": "Burst",
        "metadata": {"namespace": burst.namespace, "name": burst.name},
        "status": status,
    }


def burst_conditions(burst: Burst, *, observed_generation: int | None = None) -> list[dict[str, Any]]:
    """Return the conditions Ready, Placed, Verified, Serving and Released, with times that come from the record alone.

    Ready is Serving under the name that Kubernetes' own tools ask for (``kubectl wait --for=condition=Ready``).
    """
    spec, status = burst.spec, burst.status
    served = status.serving_at_ms
    ended = _first(status.draining_at_ms, status.released_at_ms, served)
    serving = status.phase == "Serving"
    what = "Pod" if spec.machine is None else "Machine"
    facts = (
        ("Ready", serving, served if serving else ended, f"{what}Serving"),
        ("Placed", status.placed_at_ms is not None, status.placed_at_ms, f"{what}Placed"),
        ("Verified", served is not None, served, "VmVerified"),
        ("Serving", serving, served if serving else ended, f"{what}Serving"),
        ("Released", status.phase == "Released", status.released_at_ms, "VmGone"),
    )
    conditions: list[dict[str, Any]] = []
    why, message, times = _reason(status), status.message[:MESSAGE_MAX], dict[int, str]()
    for kind, holds, at_ms, reason in facts:
        since = _first(at_ms, spec.decided_at_ms) or 0
        if since not in times:
            times[since] = format_time(since)[:-5] + "Z"
        condition: dict[str, Any] = {
            "type": kind,
            "status": "True" if holds else "False",
            "reason": reason if holds else why,
            "message": "" if holds else message,
            "lastTransitionTime": times[since],
        }
        if observed_generation is not None:
            condition["observedGeneration"] = observed_generation
        conditions.append(condition)
    return conditions


def _first(*moments: int | None) -> int | None:
    return next((moment for moment in moments if moment is not None), None)


def _reason(status: BurstStatus) -> str:
    return status.reason if _REASON.fullmatch(status.reason) else status.phase
