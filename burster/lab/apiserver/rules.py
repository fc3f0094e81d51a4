"""What a real API server refuses in built-in objects: names, required fields, fields that may not change.

The store calls it before it commits. It says no with the real server's words and changes nothing.
"""

import re
from collections.abc import Callable
from typing import Any, Final

from burster.lab.apiserver.errors import FieldError, Json, bad_value, immutable, required
from burster.lab.apiserver.kinds import Kind
from burster.lab.apiserver.objects import is_array, is_object, items, section
from burster.model.errors import QuantityError
from burster.model.quantities import parse_memory_bytes


_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_LABEL_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_CLUSTERS_EVENTS: Final = "default"
_NAME_MAX: Final = 253
_LABEL_MAX: Final = 63

_SUBDOMAIN_RULE: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_RULE: Final = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an "
    "alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_VALUE_RULE: Final = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
#: kinds whose names are DNS labels, and those whose names are path segments
_LABEL_NAMED: Final = frozenset({"namespaces", "services"})
_FREELY_NAMED: Final = frozenset({"rbac.authorization.k8s.io"})


def _name(kind: Kind, name: str) -> list[FieldError]:
    if kind.group in _FREELY_NAMED:
        return []
    if kind.resource in _LABEL_NAMED:
        fits, most, rule = _LABEL.fullmatch(name), _LABEL_MAX, _LABEL_RULE
    else:
        fits, most, rule = _SUBDOMAIN.fullmatch(name), _NAME_MAX, _SUBDOMAIN_RULE
    errors: list[FieldError] = []
    if len(name) > most:
        errors.append(bad_value("metadata.name", name, f"must be no more than {most} characters"))
    if not fits:
        errors.append(bad_value("metadata.name", name, rule))
    return errors


def _metadata(obj: Json) -> list[FieldError]:
    errors: list[FieldError] = []
    for key, value in section(obj, "metadata", "labels").items():
        if not _LABEL_KEY.fullmatch(key):
            errors.append(
                bad_value("metadata.labels", key, "name part must consist of alphanumeric characters, '-', '_' or '.'")
            )
        if not isinstance(value, str) or not _LABEL_VALUE.fullmatch(value):
            errors.append(bad_value("metadata.labels", value, _VALUE_RULE))
        elif len(value) > _LABEL_MAX:
            errors.append(bad_value("metadata.labels", value, f"must be no more than {_LABEL_MAX} characters"))
    controllers = 0
    for index, owner in enumerate(items(obj, "metadata", "ownerReferences")):
        path = f"metadata.ownerReferences[{index}]"
        errors += [
            required(f"{path}.{field}") for field in ("apiVersion", "kind", "name", "uid") if not owner.get(field)
        ]
        controllers += bool(owner.get("controller"))
    if controllers > 1:
        why = "Only one reference can have Controller set to true."
        errors.append(bad_value("metadata.ownerReferences", "[...]", why))
    return errors


def _quantities(container: Json, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for group in ("requests", "limits"):
        for resource, value in section(container, "resources", group).items():
            try:
                parse_memory_bytes(str(value))
            except QuantityError:
                negative = str(value).startswith("-")
                why = (
                    "must be greater than or equal to 0" if negative else "quantities must match the regular expression"
                )
                errors.append(bad_value(f"{path}.resources.{group}[{resource}]", str(value), why))
    return errors


def _containers(spec: Json, path: str) -> list[FieldError]:
    containers = spec.get("containers")
    if not is_array(containers) or not containers:
        return [required(f"{path}.containers")]
    errors: list[FieldError] = []
    seen: set[str] = set()
    for field in ("initContainers", "containers"):
        for index, container in enumerate(items(spec, field)):
            where = f"{path}.{field}[{index}]"
            name = container.get("name") or ""
            if not name:
                errors.append(required(f"{where}.name"))
            elif name in seen:
                errors.append(FieldError(f"{where}.name", "FieldValueDuplicate", f'Duplicate value: "{name}"'))
            elif not _LABEL.fullmatch(name):
                errors.append(bad_value(f"{where}.name", name, _LABEL_RULE))
            seen.add(name)
            if field == "containers" and path == "spec" and not container.get("image"):
                errors.append(required(f"{where}.image"))
            errors += _quantities(container, where)
    return errors


def _pod(obj: Json) -> list[FieldError]:
    spec = section(obj, "spec")
    errors = _containers(spec, "spec")
    if spec.get("nodeName") and spec.get("schedulingGates"):
        errors.append(immutable("spec.nodeName", "cannot be set until all schedulingGates have been cleared"))
    return errors


def _workload(obj: Json) -> list[FieldError]:
    spec = section(obj, "spec")
    errors = _containers(section(spec, "template", "spec"), "spec.template.spec")
    if spec.get("selector") is None:
        errors.append(required("spec.selector"))
    else:
        wanted = section(spec, "selector", "matchLabels")
        labels = section(spec, "template", "metadata", "labels")
        if any(labels.get(key) != value for key, value in wanted.items()):
            why = "`selector` does not match template `labels`"
            errors.append(bad_value("spec.template.metadata.labels", dict(labels), why))
    replicas = spec.get("replicas")
    if isinstance(replicas, int) and replicas < 0:
        errors.append(bad_value("spec.replicas", replicas, "must be greater than or equal to 0"))
    return errors


def _job(obj: Json) -> list[FieldError]:
    template = section(obj, "spec", "template", "spec")
    errors = _containers(template, "spec.template.spec")
    policy = template.get("restartPolicy")
    if policy not in ("OnFailure", "Never"):
        path = "spec.template.spec.restartPolicy"
        why = f'Unsupported value: "{policy}": supported values: "OnFailure", "Never"'
        errors.append(FieldError(path, "FieldValueNotSupported", why))
    return errors


def _lease(obj: Json) -> list[FieldError]:
    spec = section(obj, "spec")
    least = {"leaseDurationSeconds": (1, "must be greater than 0"), "leaseTransitions": (0, "must not be negative")}
    return [
        bad_value(f"spec.{field}", spec[field], why)
        for field, (lowest, why) in least.items()
        if isinstance(spec.get(field), int) and spec[field] < lowest
    ]


def _event(obj: Json) -> list[FieldError]:
    """An event is where its object is; one about what is in no namespace is in the default one."""
    about = section(obj, "involvedObject").get("namespace") or ""
    if obj["metadata"].get("namespace", "") == (about or _CLUSTERS_EVENTS):
        return []
    return [bad_value("involvedObject.namespace", about, "does not match event.namespace")]


_RULES: Final[dict[str, Callable[[Json], list[FieldError]]]] = {
    "pods": _pod,
    "deployments.apps": _workload,
    "replicasets.apps": _workload,
    "statefulsets.apps": _workload,
    "daemonsets.apps": _workload,
    "jobs.batch": _job,
    "leases.coordination.k8s.io": _lease,
    "events": _event,
}


def check_new(kind: Kind, obj: Json) -> list[FieldError]:
    """What is wrong with an object that is about to be created."""
    errors = _name(kind, obj["metadata"]["name"]) + _metadata(obj)
    rule = _RULES.get(kind.resource)
    return errors + rule(obj) if rule else errors


_POD_MUTABLE: Final = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
_POD_FREE: Final = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "containers", "initContainers",
                    "schedulingGates", "nodeSelector", "affinity")  # fmt: skip


def _without_images(containers: list[Any]) -> list[Any]:
    return [
        {key: value for key, value in each.items() if key != "image"} if is_object(each) else each
        for each in containers
    ]


def _deadline(new: Json, old: Json) -> list[FieldError]:
    was, now = old.get("activeDeadlineSeconds"), new.get("activeDeadlineSeconds")
    if was is None or was == now:
        return []
    path = "spec.activeDeadlineSeconds"
    if now is None:
        return [bad_value(path, "", "must not update from a positive integer to nil value")]
    if now > was:
        return [bad_value(path, now, f"must be less than or equal to previous value {was}")]
    return []


def _pod_update(new: Json, old: Json) -> list[FieldError]:
    now, was = section(new, "spec"), section(old, "spec")
    if now == was:
        return []
    errors = _deadline(now, was)
    gated = bool(was.get("schedulingGates"))
    changed = {key for key in now.keys() | was.keys() if now.get(key) != was.get(key)}
    frozen = changed - set(_POD_FREE)
    for field in ("containers", "initContainers"):
        if _without_images(items(now, field)) != _without_images(items(was, field)):
            frozen.add(field)
    if not gated:
        frozen |= changed & {"nodeSelector", "affinity"}
    elif not section(was, "nodeSelector").items() <= section(now, "nodeSelector").items():
        only = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
        errors.append(bad_value("spec.nodeSelector", dict(section(now, "nodeSelector")), only))
    if not all(each in items(now, "tolerations") for each in items(was, "tolerations")):
        frozen.add("tolerations")
    if not all(each in items(was, "schedulingGates") for each in items(now, "schedulingGates")):
        frozen.add("schedulingGates")
    if frozen:
        errors.append(immutable("spec", _POD_MUTABLE))
    return errors


def _frozen(*path: str) -> Callable[[Json, Json], list[FieldError]]:
    def check(new: Json, old: Json) -> list[FieldError]:
        now, was = section(new, *path[:-1]).get(path[-1]), section(old, *path[:-1]).get(path[-1])
        return [] if now == was else [bad_value(".".join(path), now, "field is immutable")]

    return check


def _job_update(new: Json, old: Json) -> list[FieldError]:
    errors = _frozen("spec", "selector")(new, old) + _frozen("spec", "completions")(new, old)
    if not section(old, "spec").get("suspend"):
        errors += _frozen("spec", "template")(new, old)
    return errors


_UPDATE_RULES: Final[dict[str, Callable[[Json, Json], list[FieldError]]]] = {
    "pods": _pod_update,
    "deployments.apps": _frozen("spec", "selector"),
    "replicasets.apps": _frozen("spec", "selector"),
    "statefulsets.apps": _frozen("spec", "selector"),
    "daemonsets.apps": _frozen("spec", "selector"),
    "jobs.batch": _job_update,
    "runtimeclasses.node.k8s.io": _frozen("handler"),
    "priorityclasses.scheduling.k8s.io": _frozen("value"),
}


def check_update(kind: Kind, new: Json, old: Json) -> list[FieldError]:
    """What is wrong with an object that is about to replace another."""
    errors = _metadata(new)
    rule = _RULES.get(kind.resource)
    if rule is not None and section(new, "spec") != section(old, "spec"):
        errors += rule(new)
    update_rule = _UPDATE_RULES.get(kind.resource)
    return errors + update_rule(new, old) if update_rule else errors
