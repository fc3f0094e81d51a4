"""Label and field selectors as kubectl writes them, compiled to predicates over objects.

Lists and watches of the store use them. Parsing refuses what a real API server refuses; matching never raises.
"""

import re
from collections.abc import Callable

from burster.lab.apiserver.errors import ApiError, Json, bad_request
from burster.lab.apiserver.kinds import Kind
from burster.lab.apiserver.objects import section, text


Predicate = Callable[[Json], bool]
Requirement = Callable[[Json], bool]

_LABEL_NAME = r"[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?"
_LABEL_VALUE = r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?"
_SET_BASED = re.compile(rf"\s*({_LABEL_NAME})\s+(in|notin)\s*\(([^()]*)\)\s*")
_EQUALITY = re.compile(rf"\s*({_LABEL_NAME})\s*(==|=|!=)\s*({_LABEL_VALUE})\s*")
_COMPARE = re.compile(rf"\s*({_LABEL_NAME})\s*([<>])\s*(-?[0-9]+)\s*")
_EXISTS = re.compile(rf"\s*(!?)\s*({_LABEL_NAME})\s*")
_VALUE = re.compile(rf"{_LABEL_VALUE}\Z")


def _unparsable(selector: str) -> ApiError:
    return bad_request(f'unable to parse requirement in label selector "{selector}"')


def _split(selector: str) -> list[str]:
    """Requirements at the commas outside of parentheses."""
    parts: list[str] = []
    depth = start = 0
    for index, char in enumerate(selector):
        if char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
        elif char == "," and depth == 0:
            parts.append(selector[start:index])
            start = index + 1
    parts.append(selector[start:])
    return parts


def _in(key: str, values: frozenset[str]) -> Requirement:
    return lambda labels: labels.get(key) in values


def _not_in(key: str, values: frozenset[str]) -> Requirement:
    return lambda labels: labels.get(key) not in values


def _compare(key: str, sign: str, bound: int) -> Requirement:
    def holds(labels: Json) -> bool:
        try:
            value = int(labels[key])
        except (KeyError, ValueError):
            return False
        return value > bound if sign == ">" else value < bound

    return holds


def _label_requirement(part: str) -> Requirement:
    if found := _SET_BASED.fullmatch(part):
        key, operator = found[1], found[3]
        values = frozenset(value.strip() for value in found[4].split(","))
        if not all(_VALUE.match(value) for value in values):
            raise _unparsable(part)
        return _in(key, values) if operator == "in" else _not_in(key, values)
    if found := _EQUALITY.fullmatch(part):
        values = frozenset((found[4],))
        return _not_in(found[1], values) if found[3] == "!=" else _in(found[1], values)
    if found := _COMPARE.fullmatch(part):
        return _compare(found[1], found[3], int(found[4]))
    if found := _EXISTS.fullmatch(part):
        key, wanted = found[2], not found[1]
        return lambda labels: (key in labels) == wanted
    raise _unparsable(part)


def labels_match(selector: str) -> Requirement | None:
    """A predicate over a labels object; None where the selector selects everything."""
    if not selector.strip():
        return None
    requirements = [_label_requirement(part) for part in _split(selector)]
    if len(requirements) == 1:
        return requirements[0]
    return lambda labels: all(requirement(labels) for requirement in requirements)


def _pod_host_network(obj: Json) -> str:
    return "true" if section(obj, "spec").get("hostNetwork") else "false"


def _at(*path: str) -> Callable[[Json], str]:
    return lambda obj: text(obj, *path)


def _number_at(*path: str) -> Callable[[Json], str]:
    return lambda obj: str(section(obj, *path[:-1]).get(path[-1], 0))


_NAME = {"metadata.name": _at("metadata", "name")}
_BOTH = {**_NAME, "metadata.namespace": _at("metadata", "namespace")}
_EVENT_OBJECT = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")

_BUILT_IN: dict[str, dict[str, Callable[[Json], str]]] = {
    "pods": {
        "spec.nodeName": _at("spec", "nodeName"),
        "spec.restartPolicy": _at("spec", "restartPolicy"),
        "spec.schedulerName": _at("spec", "schedulerName"),
        "spec.serviceAccountName": _at("spec", "serviceAccountName"),
        "spec.hostNetwork": _pod_host_network,
        "status.phase": _at("status", "phase"),
        "status.podIP": _at("status", "podIP"),
        "status.podIPs": _at("status", "podIP"),
        "status.nominatedNodeName": _at("status", "nominatedNodeName"),
    },
    "events": {
        **{f"involvedObject.{field}": _at("involvedObject", field) for field in _EVENT_OBJECT},
        "reason": _at("reason"),
        "reportingComponent": _at("reportingComponent"),
        "source": lambda obj: text(obj, "source", "component") or text(obj, "reportingComponent"),
        "type": _at("type"),
    },
    "nodes": {"spec.unschedulable": lambda obj: "true" if section(obj, "spec").get("unschedulable") else "false"},
    "secrets": {"type": _at("type")},
    "namespaces": {"status.phase": _at("status", "phase"), "name": _at("metadata", "name")},
    "replicasets.apps": {"status.replicas": _number_at("status", "replicas")},
    "replicationcontrollers": {"status.replicas": _number_at("status", "replicas")},
    "jobs.batch": {"status.successful": _number_at("status", "succeeded")},
}


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _custom_field(path: str) -> Callable[[Json], str]:
    keys = path.split(".")
    return lambda obj: _as_text(section(obj, *keys[:-1]).get(keys[-1]))


def _reader(kind: Kind, field: str) -> Callable[[Json], str]:
    common = _BOTH if kind.namespaced else _NAME
    reader = common.get(field) or _BUILT_IN.get(kind.resource, {}).get(field)
    if reader is None and field in kind.selectable:
        reader = _custom_field(field)
    if reader is None:
        raise bad_request(f"field label not supported: {field}")
    return reader


def _field_requirement(kind: Kind, part: str) -> Requirement:
    for sign in ("!=", "==", "="):
        field, found, value = part.partition(sign)
        if found:
            break
    else:
        raise bad_request(f"invalid selector: '{part}'; can't understand '{part}'")
    read = _reader(kind, field.strip())
    value = value.replace("\\,", ",").replace("\\=", "=").replace("\\\\", "\\")
    if sign == "!=":
        return lambda obj: read(obj) != value
    return lambda obj: read(obj) == value


def fields_match(kind: Kind, selector: str) -> Predicate | None:
    """A predicate over an object; None where the selector selects everything."""
    if not selector.strip():
        return None
    parts = [part for part in re.split(r"(?<!\\),", selector) if part]
    requirements = [_field_requirement(kind, part) for part in parts]
    if len(requirements) == 1:
        return requirements[0]
    return lambda obj: all(requirement(obj) for requirement in requirements)


def compile_selectors(kind: Kind, *, labels: str = "", fields: str = "") -> Predicate | None:
    """Both selectors as one predicate over objects; None where everything is selected."""
    by_label = labels_match(labels)
    by_field = fields_match(kind, fields)
    if by_label is None:
        return by_field
    if by_field is None:
        return lambda obj: by_label(section(obj, "metadata", "labels"))
    return lambda obj: by_field(obj) and by_label(section(obj, "metadata", "labels"))


def label_selector_matches(selector: Json, labels: Json) -> bool:
    """A LabelSelector object (matchLabels, matchExpressions) against a labels object."""
    if any(labels.get(key) != value for key, value in section(selector, "matchLabels").items()):
        return False
    for each in selector.get("matchExpressions") or ():
        key, operator, values = each["key"], each["operator"], each.get("values") or ()
        holds = {
            "In": labels.get(key) in values,
            "NotIn": labels.get(key) not in values,
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }.get(operator, False)
        if not holds:
            return False
    return True


def label_selector_text(selector: Json) -> str:
    """A LabelSelector object as kubectl writes it."""
    parts = [f"{key}={value}" for key, value in sorted(section(selector, "matchLabels").items())]
    for each in selector.get("matchExpressions") or ():
        key, operator, values = each["key"], each["operator"], each.get("values") or ()
        joined = ",".join(sorted(values))
        written = {
            "In": f"{key} in ({joined})",
            "NotIn": f"{key} notin ({joined})",
            "Exists": key,
            "DoesNotExist": f"!{key}",
        }
        parts.append(written.get(operator, key))
    return ",".join(parts)
