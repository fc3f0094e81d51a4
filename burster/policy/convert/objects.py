"""A ScaledObject as a BurstPolicy of strategy Scale: the same workload, the same triggers, the same numbers."""

from typing import Any, Final

from burster.policy.convert.notes import Notes, list_of, mapping_of
from burster.policy.convert.triggers import convert_trigger
from burster.policy.errors import Problem
from burster.policy.yaml_nodes import Path


_NUMBERS: Final = (
    "pollingInterval",
    "cooldownPeriod",
    "initialCooldownPeriod",
    "minReplicaCount",
    "maxReplicaCount",
    "idleReplicaCount",
)
_CARRIED: Final = ("scaleTargetRef", "triggers", "advanced", "fallback", *_NUMBERS)
#: KEDA's annotations that have an equal here -> its name
_SAME: Final = {
    f"autoscaling.keda.sh/{name}": f"burster.dev/{name}"
    for name in ("paused", "paused-scale-in", "paused-scale-out", "force-activation")
}
_FORCE: Final = "autoscaling.keda.sh/force-activation"
_BOOLEANS: Final = {"true": "true", "t": "true", "1": "true", "false": "false", "f": "false", "0": "false"}
_ANNOTATIONS: Final = {
    "scaledobject.keda.sh/transfer-hpa-ownership": "burster makes no HPA, so there is none to take over",
    "validations.keda.sh/hpa-ownership": "burster makes no HPA, so nothing is checked",
    "scaledobject.keda.sh/hpa-excluded-labels": "burster makes no HPA, so no labels are copied",
}
_KUBECTL: Final = "kubectl.kubernetes.io/last-applied-configuration"
#: what KEDA or an API server writes itself
_OWN_LABEL: Final = "scaledobject.keda.sh/name"


def policy(value: dict[str, Any], notes: Notes, target: str, problems: list[Problem]) -> dict[str, Any] | None:
    """Return the policy; None where no trigger of it can be carried over."""
    spec = mapping_of(value.get("spec"))
    scaled = mapping_of(spec.get("scaleTargetRef"))
    name = scaled.get("name")
    if not isinstance(name, str) or not name:
        place = notes.problem(("spec", "scaleTargetRef", "name"), "is required: it names the workload that is scaled")
        problems.append(place)
        return None
    triggers = _triggers(spec, scaled, notes)
    if not triggers:
        notes.dropped(("spec", "triggers"), "no trigger is left, so there is no policy")
        return None
    kind = scaled.get("kind") or "Deployment"
    made: dict[str, Any] = {
        "workload": {"ownerRef": {"kind": kind, "name": name}},
        "scaleTargetRef": {key: scaled[key] for key in ("apiVersion", "kind", "name") if scaled.get(key)},
        "triggers": triggers,
    }
    made |= {key: number(spec[key]) for key in _NUMBERS if spec.get(key) is not None}
    if mapping_of(spec.get("fallback")):
        made["fallback"] = {key: number(item) for key, item in spec["fallback"].items()}
    advanced = _advanced(mapping_of(spec.get("advanced")), notes)
    if advanced:
        made["advanced"] = advanced
    made["placement"] = {"strategy": "Scale", "targets": [target]}
    _left_out(spec, scaled, notes)
    notes.assumed(
        ("spec", "scaleTargetRef"),
        f"burster scales {kind} {name} only if its pods run under the target's RuntimeClass: KEDA does not ask",
    )
    notes.assumed(("spec",), "KEDA knows no money, so the policy has no budget: add limits.budget")
    return {**_head(value, notes), "spec": made}


def _head(value: dict[str, Any], notes: Notes) -> dict[str, Any]:
    return {
        "apiVersion": "burster.dev/v1alpha1",
        "kind": "BurstPolicy",
        "metadata": head_metadata(mapping_of(value.get("metadata")), notes),
    }


def head_metadata(metadata: dict[str, Any], notes: Notes) -> dict[str, Any]:
    """Return the policy's metadata: name, namespace, labels, and of the annotations what has a meaning here."""
    made: dict[str, Any] = {key: metadata[key] for key in ("name", "namespace") if metadata.get(key)}
    labels = {key: item for key, item in mapping_of(metadata.get("labels")).items() if key != _OWN_LABEL}
    if labels:
        made["labels"] = labels
    annotations: dict[str, str] = {}
    for key, item in mapping_of(metadata.get("annotations")).items():
        path: Path = ("metadata", "annotations", key)
        if key in _SAME:
            text = str(item).lower() if isinstance(item, bool) else str(item)
            if key == _FORCE and text.lower() not in _BOOLEANS:
                notes.changed(
                    path,
                    f"{text!r} is no boolean: KEDA takes it for true, and burster buys nothing by it; written as true",
                )
                text = "true"
            annotations[_SAME[key]] = text
        elif key == "autoscaling.keda.sh/paused-replicas":
            annotations.setdefault("burster.dev/paused", "true")
            notes.changed(path, f"the policy is paused as it stands; nothing sets {item} replicas first")
        elif key in _ANNOTATIONS:
            notes.dropped(path, _ANNOTATIONS[key])
        elif key != _KUBECTL:
            annotations[key] = item
    if annotations:
        made["annotations"] = annotations
    return made


def number(value: object) -> object:
    """Return whole numbers in quotes, as templates write them, as numbers; anything else as it is."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value


def _triggers(spec: dict[str, Any], scaled: dict[str, Any], notes: Notes) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for index, trigger in enumerate(list_of(spec.get("triggers"))):
        one = convert_trigger(index, mapping_of(trigger), scaled, notes)
        if one is not None:
            made.append(one)
    return made


def _advanced(advanced: dict[str, Any], notes: Notes) -> dict[str, Any]:
    made: dict[str, Any] = {}
    here = ("spec", "advanced")
    for key, item in advanced.items():
        if key == "horizontalPodAutoscalerConfig":
            config = mapping_of(item)
            if config.get("name"):
                notes.dropped((*here, key, "name"), "burster makes no HPA, so there is none to name")
            if mapping_of(config.get("behavior")):
                made[key] = {"behavior": config["behavior"]}
        elif key in {"restoreToOriginalReplicaCount", "scalingModifiers"}:
            made[key] = item
        else:
            notes.dropped((*here, key), "unknown to burster")
    modifiers = mapping_of(made.get("scalingModifiers"))
    if modifiers:
        made["scalingModifiers"] = {
            key: item if isinstance(item, str) else str(item) for key, item in modifiers.items()
        }
    return made


def _left_out(spec: dict[str, Any], scaled: dict[str, Any], notes: Notes) -> None:
    if scaled.get("envSourceContainerName"):
        notes.dropped(
            ("spec", "scaleTargetRef", "envSourceContainerName"), "burster reads no environment of other containers"
        )
    for key in spec:
        if key not in _CARRIED:
            notes.dropped(("spec", key), "unknown to burster")
