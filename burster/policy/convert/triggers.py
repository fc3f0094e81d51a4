"""KEDA's triggers as burster's: the same names and metadata, as far as burster has the type."""

from typing import Any, Final

from burster.policy.convert.notes import Notes, mapping_of, text_of
from burster.policy.endpoints import endpoint_of
from burster.policy.yaml_nodes import Path


_HTTP: Final = ("unsafeSsl", "timeout", "authModes")
_KEYS: Final[dict[str, tuple[str, ...]]] = {
    "prometheus": (
        *("serverAddress", "query", "threshold", "activationThreshold", "namespace", "customHeaders"),
        *("queryParameters", "ignoreNullValues", "awsRegion", "identityOwner", *_HTTP),
    ),
    "cron": ("start", "end", "timezone", "desiredReplicas"),
    "cpu": ("value", "containerName"),
    "memory": ("value", "containerName"),
    "kubernetes-workload": ("podSelector", "value", "activationValue", "groupByNode"),
    "metrics-api": (
        *("url", "valueLocation", "format", "targetValue", "activationTargetValue", "method", "keyParamName"),
        *("aggregateFromKubeServiceEndpoints", "aggregationType", *_HTTP),
    ),
}
_ADDRESSES: Final = {"prometheus": "serverAddress", "metrics-api": "url"}
_RENAMED: Final = {"external-push": "external"}


def convert_trigger(index: int, trigger: dict[str, Any], scaled: dict[str, Any], notes: Notes) -> dict[str, Any] | None:
    """Return a trigger as burster writes it; None (and a note) where burster has none of its type."""
    here: Path = ("spec", "triggers", index)
    kind = str(trigger.get("type") or "")
    if kind == "external-push":
        notes.changed((*here, "type"), "burster has external, to which values are pushed in any case")
    kind = _RENAMED.get(kind, kind)
    metadata = mapping_of(trigger.get("metadata"))
    if kind not in _KEYS and kind != "external":
        notes.dropped(
            (*here, "type"),
            f"burster has no trigger {kind or 'without a type'}: let KEDA read it and push the value to a trigger of type"
            " external, or ask its exporter by a prometheus trigger",
        )
        return None
    if kind == "external" and "targetValue" not in metadata:
        notes.dropped(
            (*here, "metadata"),
            "an external scaler states its target itself; burster needs it in the policy: add targetValue and convert again",
        )
        return None
    made: dict[str, Any] = {"type": kind}
    carried = _metadata(kind, metadata, here, notes)
    # an external scaler's metricName is the scaler's own
    name = trigger.get("name") or ("" if kind == "external" else _name_in(metadata, here, notes))
    if name:
        made["name"] = name
    made["metadata"] = carried
    _rest(kind, trigger, metadata, made, here, notes)
    field = _ADDRESSES.get(kind)
    if field in carried:
        notes.assumed(
            (*here, "metadata", field),
            f"the target must list {endpoint_of(carried[field]) or carried[field]} among its allowedMetricEndpoints",
        )
    if kind in {"cpu", "memory"}:
        source = {"kind": str(scaled.get("kind") or "Deployment"), "name": str(scaled["name"])}
        if scaled.get("apiVersion"):
            source["apiVersion"] = str(scaled["apiVersion"])
        made["sourceRef"] = source
        notes.assumed(
            here,
            f"KEDA measures the workload that it scales, so sourceRef is {source['kind']} {source['name']}: name the on-prem"
            " workload instead if its load is what matters",
        )
    return made


def _metadata(kind: str, metadata: dict[str, Any], here: Path, notes: Notes) -> dict[str, str]:
    made: dict[str, str] = {}
    known = _KEYS.get(kind)
    for key, item in metadata.items():
        path = (*here, "metadata", key)
        if key.endswith("FromEnv"):
            notes.dropped(path, "burster reads no environment of other containers: use an authenticationRef")
        elif known is None or key in known:
            made[key] = text_of(item)
        elif key == "metricName" or (key == "type" and kind in {"cpu", "memory"}):
            continue  # spoken of where it is carried to
        else:
            notes.dropped(path, f"a {kind} trigger has no {key}")
    return made


def _name_in(metadata: dict[str, Any], here: Path, notes: Notes) -> str:
    """Return the name that a deprecated metricName gives the trigger."""
    if "metricName" not in metadata:
        return ""
    name = text_of(metadata["metricName"])
    notes.changed((*here, "metadata", "metricName"), "KEDA has deprecated it: it is the trigger's name now")
    return name


def _rest(
    kind: str, trigger: dict[str, Any], metadata: dict[str, Any], made: dict[str, Any], here: Path, notes: Notes
) -> None:
    for key, item in trigger.items():
        if key in {"authenticationRef", "metricType"}:
            made[key] = item
        elif key == "useCachedMetrics":
            if item:
                notes.dropped(
                    (*here, key), "burster reads each value once a pollingInterval and uses it for everything"
                )
        elif key not in {"type", "name", "metadata"}:
            notes.dropped((*here, key), "unknown to burster")
    if kind in {"cpu", "memory"} and "metricType" not in made and metadata.get("type"):
        made["metricType"] = text_of(metadata["type"])
        notes.changed((*here, "metadata", "type"), "KEDA has removed it: it is metricType now")
    if trigger.get("name") and "metricName" in metadata and kind != "external":
        notes.dropped((*here, "metadata", "metricName"), "KEDA has deprecated it, and the trigger has a name")
