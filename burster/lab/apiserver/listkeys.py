"""How lists inside built-in kinds merge: by which key, as a set, or as a whole.

Strategic merge patch and server-side apply ask it. The names of such lists mean the same in every built-in kind, so a field's name and
its parent's are enough; custom kinds say it in their schema instead.
"""

from typing import Final


#: strategic merge: the field that identifies an element; "" is a set of plain values
_PATCH_KEYS: Final[dict[str, str]] = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "imagePullSecrets": "name",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
    "resourceClaims": "name",
    "schedulingGates": "name",
    "conditions": "type",
    "ownerReferences": "uid",
    "finalizers": "",
    "addresses": "type",
    "podIPs": "ip",
    "hostIPs": "ip",
    "secrets": "name",
    "webhooks": "name",
}

#: server-side apply: the fields that identify an element; () is a set of plain values
_APPLY_KEYS: Final[dict[str, tuple[str, ...]]] = {
    **{field: (key,) for field, key in _PATCH_KEYS.items() if key},
    "finalizers": (),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
}

#: parents under which `ports` are a Service's, not a container's
_SERVICE_PARENTS: Final = frozenset({"spec"})


def patch_key(parent: str, field: str) -> str | None:
    """The merge key of a list for strategic merge; "" is a set; None replaces the whole list."""
    if field == "ports":
        return "port" if parent in _SERVICE_PARENTS else "containerPort"
    return _PATCH_KEYS.get(field)


def apply_keys(parent: str, field: str) -> tuple[str, ...] | None:
    """The keys of a list for server-side apply; () is a set; None is atomic."""
    if field == "ports" and not parent:
        return None  # an EndpointSlice's, which has them beside its metadata
    if field == "ports":
        return ("port", "protocol") if parent in _SERVICE_PARENTS else ("containerPort", "protocol")
    return _APPLY_KEYS.get(field)


#: what an element's key field is where it is left out
KEY_DEFAULTS: Final[dict[str, str]] = {"protocol": "TCP"}

#: objects that belong to one manager as a whole
ATOMIC_OBJECTS: Final = frozenset({"selector", "nodeSelector", "nodeSelectorTerms", "labelSelector", "fieldRef",
                                   "resourceFieldRef", "secretKeyRef", "configMapKeyRef", "scaleTargetRef",
                                   "lastState", "nodeRef", "involvedObject"})  # fmt: skip
