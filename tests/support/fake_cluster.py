"""A Kubernetes API in memory, as far as burster's adaptors use it; synchronous inside, so that a test decides when a request happens.

Stands for the API server's rules that the adaptors rely on: names are unique, uids are not reused, preconditions are checked, a bound or
finalized pod stays until somebody lets it go, finalizers hold a record.
"""

import copy
import itertools
from collections.abc import Callable
from typing import Any, Literal

import orjson

from burster.model.errors import RemoteError, RemoteKind


Json = dict[str, Any]
#: (ADDED | MODIFIED | DELETED, plural, object)
Watcher = Callable[[str, str, Json], None]


class FakeCluster:
    """Objects by (plural, namespace, name)."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Json] = {}
        self.watchers: list[Watcher] = []
        self.calls: list[tuple[str, str]] = []
        self._revisions = itertools.count(1)
        self._uids = itertools.count(1)

    # -- what a test sets up and looks at

    def add(self, plural: str, obj: Json) -> Json:
        """Put an object there as its author wrote it; the server's own fields are added."""
        metadata = obj["metadata"]
        key = (plural, metadata.get("namespace", ""), metadata["name"])
        if key in self.objects:
            raise RemoteError("AlreadyExists", f"{plural} {key[2]} exists", status=409)
        obj = copy.deepcopy(obj)
        obj["metadata"]["uid"] = f"{plural[:-1]}-uid-{next(self._uids)}"
        self._store("ADDED", key, obj)
        return obj

    def find(self, plural: str, namespace: str, name: str) -> Json | None:
        return self.objects.get((plural, namespace, name))

    def all(self, plural: str) -> list[Json]:
        return [obj for (kind, _, _), obj in sorted(self.objects.items()) if kind == plural]

    def change(self, plural: str, namespace: str, name: str, change: Callable[[Json], None]) -> Json:
        key = (plural, namespace, name)
        obj = copy.deepcopy(self.objects[key])
        change(obj)
        if (
            obj["metadata"].get("deletionTimestamp")
            and not obj["metadata"].get("finalizers")
            and not _holds(plural, obj)
        ):
            self._drop(key, obj)
        else:
            self._store("MODIFIED", key, obj)
        return obj

    def remove(self, plural: str, namespace: str, name: str) -> None:
        """Take an object away, whatever holds it."""
        key = (plural, namespace, name)
        self._drop(key, self.objects[key])

    def _store(self, event: str, key: tuple[str, str, str], obj: Json) -> None:
        obj["metadata"]["resourceVersion"] = str(next(self._revisions))
        self.objects[key] = obj
        self._show(event, key[0], obj)

    def _drop(self, key: tuple[str, str, str], obj: Json) -> None:
        del self.objects[key]
        self._show("DELETED", key[0], obj)

    def _show(self, event: str, plural: str, obj: Json) -> None:
        for watcher in self.watchers:
            watcher(event, plural, obj)

    # -- what the adaptors ask

    def request(self, verb: str, path: str, body: Any = None, params: dict[str, str] | None = None) -> bytes:
        """Answer one request at this instant. Raises RemoteError."""
        self.calls.append((verb, path))
        plural, namespace, name, subresource = _parse(path)
        if verb == "create":
            return orjson.dumps(self._create(plural, namespace, body, params or {}))
        if not name:
            return orjson.dumps({"items": self.all(plural)})
        obj = self.find(plural, namespace, name)
        if obj is None:
            raise RemoteError("NotFound", f"{plural} {name} not found", status=404)
        if verb == "get":
            return orjson.dumps(obj)
        if verb == "delete":
            return orjson.dumps(self._delete((plural, namespace, name), obj, body or {}))
        wanted = (body.get("metadata") or {}).get("uid", obj["metadata"]["uid"])
        if wanted != obj["metadata"]["uid"]:
            raise RemoteError("Conflict", f"{plural} {name} is another one", status=409)

        def change(new: Json) -> None:
            if subresource == "status":
                new["status"] = body["status"]
            else:
                _merge(new, body)

        return orjson.dumps(self.change(plural, namespace, name, change))

    def _create(self, plural: str, namespace: str, body: Json, params: dict[str, str]) -> Json:
        body = copy.deepcopy(body)
        metadata = body["metadata"]
        metadata["namespace"] = namespace
        if "name" not in metadata:
            metadata["name"] = f"{metadata['generateName']}{next(self._uids)}"
        if params.get("dryRun") == "All":
            return body
        return self.add(plural, body)

    def _delete(self, key: tuple[str, str, str], obj: Json, options: Json) -> Json:
        metadata = obj["metadata"]
        for field, wanted in (options.get("preconditions") or {}).items():
            if metadata[field] != wanted:
                raise RemoteError("Conflict", f"{field} is {metadata[field]}, not {wanted}", status=409)
        if not metadata.get("finalizers") and (not _holds(key[0], obj) or options.get("gracePeriodSeconds") == 0):
            self._drop(key, obj)
        elif not metadata.get("deletionTimestamp") or options.get("gracePeriodSeconds") == 0:
            obj = copy.deepcopy(obj)
            obj["metadata"]["deletionTimestamp"] = "2026-01-05T08:00:00Z"
            if options.get("gracePeriodSeconds") == 0:
                obj["metadata"]["deletionGracePeriodSeconds"] = 0
            self._store("MODIFIED", key, obj)
        return obj


def _holds(plural: str, obj: Json) -> bool:
    """Say whether a kubelet has to confirm an object's deletion."""
    confirmed = obj["metadata"].get("deletionGracePeriodSeconds") == 0
    return plural == "pods" and bool(obj["spec"].get("nodeName")) and not confirmed


def _parse(path: str) -> tuple[str, str, str, str]:
    parts = path.strip("/").split("/")
    if "namespaces" not in parts or parts[-1] == "namespaces":
        rest = [*parts[2 if parts[0] == "api" else 3 :], "", ""]
        return rest[0], "", rest[1], rest[2]
    at = parts.index("namespaces")
    rest = [*parts[at + 2 :], "", ""]
    return rest[0], parts[at + 1], rest[1], rest[2]


def _merge(into: Json, patch: Json) -> None:
    for key, value in patch.items():
        if value is None:
            into.pop(key, None)
        elif isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else value


class FakeKube:
    """The adaptors' KubeApi over a FakeCluster, with faults: what the n-th matching request answers instead, or after being done."""

    def __init__(self, cluster: FakeCluster) -> None:
        self.cluster = cluster
        self._faults: list[list[Any]] = []

    def fail(self, verb: str, plural: str, kind: RemoteKind, *, done: bool = False, skip: int = 0) -> None:
        """Make one request fail; ``done``: it is carried out all the same, and only its answer is lost."""
        self._faults.append([verb, plural, kind, done, skip])

    async def get(self, path: str, params: dict[str, str] | None = None) -> bytes:
        return self._call("get", path, None, params)

    async def create(self, path: str, body: Any, params: dict[str, str] | None = None) -> bytes:
        return self._call("create", path, body, params)

    async def patch(
        self, path: str, body: Any, *, kind: Literal["merge", "strategic", "apply"] = "merge", params: Any = None
    ) -> bytes:
        return self._call("patch", path, body, params)

    async def delete(self, path: str, body: Any = None, params: dict[str, str] | None = None) -> bytes:
        return self._call("delete", path, body, params)

    def _call(self, verb: str, path: str, body: Any, params: dict[str, str] | None) -> bytes:
        plural = _parse(path)[0]
        for fault in self._faults:
            if fault[:2] != [verb, plural]:
                continue
            if fault[4]:
                fault[4] -= 1
                break
            self._faults.remove(fault)
            if fault[3]:
                self.cluster.request(verb, path, body, params)
            raise RemoteError(fault[2], "as the test wants it")
        return self.cluster.request(verb, path, body, params)
