"""Discovery: which groups, versions and resources there are, plain and aggregated, and the server's version.

kubectl reads it before anything else. Made anew from the registry for each request, since definitions come and go.
"""

from typing import Final

from burster.lab.apiserver.errors import ApiError, Json
from burster.lab.apiserver.kinds import Kind, Kinds
from burster.lab.apiserver.views import served


VERSION: Final[Json] = {
    "major": "1",
    "minor": "36",
    "gitVersion": "v1.36.0-lab",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "",
    "platform": "linux/amd64",
}
AGGREGATED: Final = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

_VERBS: Final = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
_SUB_VERBS: Final[dict[str, list[str]]] = {
    "status": ["get", "patch", "update"],
    "scale": ["get", "patch", "update"],
    "finalize": ["update"],
    "binding": ["create"],
    "eviction": ["create"],
    "token": ["create"],
}
_SUB_KINDS: Final[dict[str, tuple[str, str, str]]] = {
    "scale": ("autoscaling", "v1", "Scale"),
    "eviction": ("policy", "v1", "Eviction"),
    "binding": ("", "v1", "Binding"),
    "token": ("authentication.k8s.io", "v1", "TokenRequest"),
}
#: resources that are only ever created: answers to questions
REVIEWS: Final[dict[tuple[str, str], dict[str, str]]] = {
    ("authorization.k8s.io", "v1"): {
        "selfsubjectaccessreviews": "SelfSubjectAccessReview",
        "selfsubjectrulesreviews": "SelfSubjectRulesReview",
        "subjectaccessreviews": "SubjectAccessReview",
    },
    ("authentication.k8s.io", "v1"): {
        "selfsubjectreviews": "SelfSubjectReview",
        "tokenreviews": "TokenReview",
    },
}


def _sub_kind(kind: Kind, name: str) -> tuple[str, str, str]:
    return _SUB_KINDS.get(name, (kind.group, kind.version, kind.kind))


def _resources(kind: Kind) -> list[Json]:
    entry: Json = {
        "name": kind.plural,
        "singularName": kind.singular_name,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": _VERBS,
    }
    if kind.short_names:
        entry["shortNames"] = list(kind.short_names)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    entries = [entry]
    for name in kind.subresources:
        group, version, sub_kind = _sub_kind(kind, name)
        sub: Json = {
            "name": f"{kind.plural}/{name}",
            "singularName": "",
            "namespaced": kind.namespaced,
            "kind": sub_kind,
        }
        if (group, version) != (kind.group, kind.version):
            sub |= {"group": group, "version": version}
        entries.append({**sub, "verbs": _SUB_VERBS[name]})
    return entries


def _review_entries(group: str, version: str) -> list[Json]:
    return [
        {"name": plural, "singularName": kind.lower(), "namespaced": False, "kind": kind, "verbs": ["create"]}
        for plural, kind in REVIEWS.get((group, version), {}).items()
    ]


def resource_list(kinds: Kinds, group: str, version: str) -> Json:
    """APIResourceList of one group and version."""
    found = served(kinds).get((group, version), [])
    entries = [entry for kind in found for entry in _resources(kind)] + _review_entries(group, version)
    if not entries:
        raise ApiError(404, "NotFound", "the server could not find the requested resource")
    group_version = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": entries}


def _groups(kinds: Kinds) -> dict[str, list[str]]:
    """Versions of each named group, the preferred one first."""
    groups: dict[str, list[str]] = {}
    for group, version in (*served(kinds), *REVIEWS):
        if group and version not in groups.setdefault(group, []):
            groups[group].append(version)
    return groups


def _group(name: str, versions: list[str]) -> Json:
    entries = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": entries, "preferredVersion": entries[0]}


def group_list(kinds: Kinds) -> Json:
    """APIGroupList of all named groups."""
    groups = [_group(name, versions) for name, versions in _groups(kinds).items()]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def one_group(kinds: Kinds, name: str) -> Json:
    """APIGroup of one named group."""
    versions = _groups(kinds).get(name)
    if not versions:
        raise ApiError(404, "NotFound", "the server could not find the requested resource")
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)}


def core_versions(address: str) -> Json:
    """APIVersions of the unnamed group."""
    by_address = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": by_address}


def _response_kind(group: str, version: str, kind: str) -> Json:
    return {"group": group, "version": version, "kind": kind}


def _discovered(kind: Kind, group: str, version: str) -> Json:
    entry: Json = {
        "resource": kind.plural,
        "responseKind": _response_kind(group, version, kind.kind),
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular_name,
        "verbs": _VERBS,
    }
    if kind.short_names:
        entry["shortNames"] = list(kind.short_names)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    if kind.subresources:
        entry["subresources"] = [
            {
                "subresource": name,
                "responseKind": _response_kind(*_sub_kind(kind, name)),
                "verbs": _SUB_VERBS[name],
            }
            for name in kind.subresources
        ]
    return entry


def _discovered_version(kinds: list[Kind], group: str, version: str) -> Json:
    resources = [_discovered(kind, group, version) for kind in kinds]
    for plural, kind in REVIEWS.get((group, version), {}).items():
        resources.append(
            {
                "resource": plural,
                "responseKind": _response_kind(group, version, kind),
                "scope": "Cluster",
                "singularResource": kind.lower(),
                "verbs": ["create"],
            }
        )
    return {"version": version, "resources": resources, "freshness": "Current"}


def aggregated(kinds: Kinds, *, named: bool) -> Json:
    """APIGroupDiscoveryList of all named groups, or of the unnamed one."""
    by_version = served(kinds)
    groups = _groups(kinds) if named else {"": ["v1"]}
    entries: list[Json] = []
    for name, versions in groups.items():
        found = [_discovered_version(by_version.get((name, version), []), name, version) for version in versions]
        metadata: Json = {"name": name, "creationTimestamp": None} if name else {"creationTimestamp": None}
        entries.append({"metadata": metadata, "versions": found})
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": entries}
