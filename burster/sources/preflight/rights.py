"""What burster's account may do in the cluster, by access reviews, and which of the allowed namespaces have opted in.

Called by ``examine_cluster``. The rights asked about are those of deploy/; tests/sources/preflight holds the two together.
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from burster.model.errors import RemoteError
from burster.model.targets import Target
from burster.sources.preflight import catalogue as c
from burster.sources.preflight.findings import Findings
from burster.sources.preflight.objects import ObjectMeta, read
from burster.sources.preflight.words import listed, plural
from burster.sources.preflight.world import World


#: verb, resource, group: for the whole cluster, reading only
WATCHED: Final = (
    ("list", "pods", ""), ("watch", "pods", ""), ("get", "pods", ""),
    ("list", "nodes", ""), ("watch", "nodes", ""),
    ("list", "events", ""), ("watch", "events", ""),
    ("list", "namespaces", ""), ("watch", "namespaces", ""),
    ("list", "deployments", "apps"), ("list", "statefulsets", "apps"), ("list", "replicasets", "apps"),
    ("list", "bursttargets", "burster.dev"), ("watch", "bursttargets", "burster.dev"),
    ("list", "burstpolicies", "burster.dev"), ("watch", "burstpolicies", "burster.dev"),
    ("list", "bursts", "burster.dev"), ("watch", "bursts", "burster.dev"),
    ("list", "peerpods", "confidentialcontainers.org"),
    ("get", "runtimeclasses", "node.k8s.io"),
)  # fmt: skip
#: what a controller that acts needs besides, wherever it has begun something
ACTED: Final = (
    ("patch", "bursttargets/status", "burster.dev"),
    ("patch", "burstpolicies", "burster.dev"), ("patch", "bursts", "burster.dev"), ("delete", "bursts", "burster.dev"),
    ("patch", "bursts/status", "burster.dev"),
)  # fmt: skip
#: in a namespace that has opted in
OPTED_IN: Final = (
    ("create", "bursts", "burster.dev"),
    ("create", "pods", ""), ("delete", "pods", ""), ("patch", "pods", ""),
    ("create", "events", ""),
)  # fmt: skip
_NAMESPACES_MAX: Final = 50

Right = tuple[str, str, str]


class _Status(msgspec.Struct):
    allowed: bool = False


class _Review(msgspec.Struct):
    status: _Status = msgspec.field(default_factory=_Status)


class _Namespace(msgspec.Struct):
    metadata: ObjectMeta


async def check_rights(world: World, found: Findings) -> None:
    """Ask about each right that holds for the whole cluster."""
    wanted = WATCHED if world.dry_run else (*WATCHED, *ACTED)
    who = world.account or "whoever asks"
    try:
        missing = [right for right in wanted if not await _may(world, right, "")]
    except RemoteError as error:
        if error.kind == "Unauthorized" and world.account:
            found.skipped(c.RIGHTS, f"You may not ask what {world.account} may do: an administrator may.")
        else:
            found.unread(c.RIGHTS, error)
        return
    if missing:
        found.problem(c.RIGHTS, f"{who} may not {listed([_told(right) for right in missing])}.")
    else:
        found.ok(c.RIGHTS, f"{who} has all {len(wanted)} that were asked about.")


async def check_namespaces(world: World, targets: Iterable[Target], found: Findings) -> None:
    """Look at every namespace that a target allows by its name."""
    required: dict[str, dict[str, str]] = {}
    for target in targets:
        for name in target.allowed_namespaces:
            if name != "*":
                required.setdefault(name, {}).update(target.required_namespace_labels)
    if not required:
        found.skipped(c.OPT_IN, "No target allows a namespace by its name.")
        return
    with found.asking(c.OPT_IN):
        absent: list[str] = []
        closed: list[str] = []
        for name, labels in sorted(required.items())[:_NAMESPACES_MAX]:
            problem = await _namespace_problem(world, name, labels)
            if problem == "absent":
                absent.append(name)
            elif problem:
                closed.append(f"{name} ({problem})")
        open_ones = min(len(required), _NAMESPACES_MAX) - len(absent) - len(closed)
        besides = f" Not there yet: {listed(absent)}." if absent else ""
        if closed:
            found.warning(c.OPT_IN, f"Not open to bursting: {listed(closed)}.{besides}")
        else:
            found.ok(c.OPT_IN, f"{plural(open_ones, 'namespace')} opted in.{besides}")


async def _namespace_problem(world: World, name: str, labels: dict[str, str]) -> str:
    namespace = await read(world.api, f"/api/v1/namespaces/{name}", _Namespace)
    if namespace is None:
        return "absent"
    has = namespace.metadata.labels or {}
    for label, value in sorted(labels.items()):
        if has.get(label) != value:
            return f"label {label}={value} is missing"
    if world.dry_run:
        return ""
    try:
        missing = [right for right in OPTED_IN if not await _may(world, right, name)]
    except RemoteError as error:
        if error.kind == "Unauthorized":
            return ""
        raise
    return f"burster may not {_told(missing[0])}" if missing else ""


async def _may(world: World, right: Right, namespace: str) -> bool:
    """Ask the API server; of somebody else where an account is named."""
    verb, resource, group = right
    plain, _, subresource = resource.partition("/")
    attributes = {"verb": verb, "resource": plain, "group": group, "subresource": subresource, "namespace": namespace}
    spec: dict[str, Any] = {"resourceAttributes": {name: value for name, value in attributes.items() if value}}
    kind = "SelfSubjectAccessReview"
    if world.account:
        kind = "SubjectAccessReview"
        _, _, owner, _ = world.account.split(":")
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{owner}", "system:authenticated"]
        spec |= {"user": world.account, "groups": groups}
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
    path = f"/apis/authorization.k8s.io/v1/{kind.lower()}s"
    answer = await world.api.create(path, body)
    try:
        return msgspec.json.decode(answer, type=_Review).status.allowed
    except msgspec.DecodeError as error:
        raise RemoteError("Protocol", f"the answer of {path} makes no sense: {error}") from None


def _told(right: Right) -> str:
    verb, resource, group = right
    return f"{verb} {resource}.{group}" if group else f"{verb} {resource}"
