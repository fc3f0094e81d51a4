"""The objects of a Kubernetes API server in memory: one revision counter, Kubernetes' semantics, all synchronous.

The server speaks for it over HTTP; the lab's scheduler, kubelets and CAA use it directly. Objects are plain JSON dicts that nobody
changes once the store has them: who wants another value makes another dict. It reads no clock and starts no task.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

from burster.lab.apiserver import apply, patches
from burster.lab.apiserver.admission import Plugin, admit_pod, check_home, plugin_name
from burster.lab.apiserver.collection import Change, Collection, EventType
from burster.lab.apiserver.collector import DEFINITIONS, Collector
from burster.lab.apiserver.defaults import fill_defaults, new_status
from burster.lab.apiserver.definitions import check_collision, check_definition, established, kind_of
from burster.lab.apiserver.deletion import (
    check_preconditions,
    lingers,
    mark,
    mark_pod,
    orphan_dependents,
    with_propagation,
)
from burster.lab.apiserver.errors import (
    FieldError,
    Json,
    already_exists,
    invalid,
    not_found,
    unsupported_media,
)
from burster.lab.apiserver.kinds import Kind, Kinds
from burster.lab.apiserver.naming import Naming, arrange, check_namespace, check_type, new_metadata
from burster.lab.apiserver.objects import key_of, section, terminating, with_metadata
from burster.lab.apiserver.pages import Ask, Page, page
from burster.lab.apiserver.rules import check_new, check_update
from burster.lab.apiserver.schemas import fill, prune, violations
from burster.lab.apiserver.selectors import compile_selectors
from burster.lab.apiserver.updates import (
    check_identity,
    refuse_new_finalizers,
    refuse_unknown_subresource,
    take_over,
    with_generation,
)


PatchKind = Literal["merge", "json", "strategic", "apply"]

HISTORY_MAX = 20_000
NAME_TRIES = 8
BUILT_IN_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")


class StoreEvent(NamedTuple):
    """One committed write, as subscribers inside the process see it."""

    type: EventType
    object: Json
    old: Json | None
    revision: int


Callback = Callable[[StoreEvent], None]


class Store:
    """A Kubernetes API server's state and rules, without its HTTP."""

    def __init__(self, now_ms: Callable[[], int], seed: int = 0, *, history_max: int = HISTORY_MAX) -> None:
        self.now_ms = now_ms
        self.revision = 0
        self.kinds = Kinds()
        self.admission: list[Plugin] = []
        self.collector = Collector(self)
        self.naming = Naming(seed)
        self.dropped: list[str] = []  # unknown fields that the latest write left out
        self._history_max = history_max
        self._collections: dict[str, Collection] = {}
        self._callbacks: dict[str, dict[int, Callback]] = {}
        self._callback_ids = 0
        for name in BUILT_IN_NAMESPACES:
            self.create("namespaces", "", {"metadata": {"name": name}})

    # ---- reading

    def collection(self, resource: str) -> Collection:
        """The objects of one resource; 404 where there is no such resource."""
        found = self._collections.get(resource)
        if found is None:
            found = Collection(self.kinds.need(resource), history_max=self._history_max)
            self._collections[resource] = found
        return found

    def peek(self, resource: str, key: str) -> Json | None:
        """The object at a key, or None."""
        found = self._collections.get(resource)
        record = None if found is None else found.records.get(key)
        return None if record is None else record.object

    def get(self, resource: str, namespace: str, name: str) -> Json:
        """One object."""
        return self._need(self.kinds.need(resource), namespace, name)

    def list(self, resource: str, namespace: str = "", *, labels: str = "", fields: str = "") -> list[Json]:
        """The objects that selectors select, in key order; of all namespaces where none is given."""
        predicate = compile_selectors(self.kinds.need(resource), labels=labels, fields=fields)
        records = self.collection(resource).range(namespace)
        return [record.object for record in records if predicate is None or predicate(record.object)]

    def page(self, resource: str, namespace: str, ask: Ask, *, labels: str = "", fields: str = "") -> Page:
        """A list as clients ask for it: in pages, at a revision."""
        predicate = compile_selectors(self.kinds.need(resource), labels=labels, fields=fields)
        return page(self.collection(resource), self.revision, namespace, predicate, ask)

    def subscribe(self, resource: str, callback: Callback) -> Callable[[], None]:
        """Call back synchronously after every commit to a resource, until the returned function is called."""
        self._callback_ids += 1
        number = self._callback_ids
        self._callbacks.setdefault(resource, {})[number] = callback

        def unsubscribe() -> None:
            self._callbacks[resource].pop(number, None)

        return unsubscribe

    def compact(self) -> None:
        """Forget all history: older resourceVersions and continue tokens are answered with 410 from now on."""
        for collection in self._collections.values():
            collection.compact(self.revision)

    # ---- writing

    def create(
        self,
        resource: str,
        namespace: str,
        obj: Json,
        *,
        dry_run: bool = False,
        user: str = "system:lab",
        managed: Sequence[Json] = (),
    ) -> Json:
        """Create an object: defaults, admission, validation, commit."""
        self.dropped = []
        kind = self.kinds.need(resource)
        namespace = namespace if kind.namespaced else ""
        given = section(obj, "metadata")
        check_type(kind, obj)
        check_namespace(kind, namespace, given)
        name = self._new_name(kind, namespace, given)
        check_home(self, kind, namespace, name)
        key = key_of(namespace, name)
        if self.peek(resource, key) is not None:
            raise already_exists(kind.plural, kind.group, name)
        metadata = new_metadata(kind, namespace, given, name, now_ms=self.now_ms())
        metadata["uid"] = self.naming.uid(kind, namespace, name, used=not dry_run)
        new = arrange(kind, kind.api_version, obj, metadata)
        if "status" in kind.subresources:
            new.pop("status", None)
        new = self._admit(kind, "CREATE", self._filled(kind, new), user)
        if resource == "pods":
            new = admit_pod(self, new)
        new = self._with_new_status(kind, new)
        if managed:
            new = with_metadata(new, managedFields=managed)
        self._refuse(kind, name, [*check_new(kind, new), *self._violations(kind, new)])
        return new if dry_run else self._commit_write(kind, key, new)

    def update(
        self,
        resource: str,
        namespace: str,
        name: str,
        obj: Json,
        *,
        subresource: str = "",
        dry_run: bool = False,
        user: str = "system:lab",
        field_manager: str = "",
    ) -> Json:
        """Replace an object, or its status."""
        self.dropped = []
        kind = self.kinds.need(resource)
        refuse_unknown_subresource(kind, subresource)
        current = self._need(kind, namespace, name)
        check_identity(kind, obj, current)
        new = take_over(kind, obj, current, subresource)
        managed = current["metadata"].get("managedFields")
        if managed and new != current:
            new = with_metadata(new, managedFields=managed)
            new = apply.note_update(kind, new, current, (field_manager or "unknown", subresource), self.now_ms())
        return self._finish_update(kind, new, current, subresource=subresource, user=user, dry_run=dry_run)

    def patch(
        self,
        resource: str,
        namespace: str,
        name: str,
        patch: Any,
        *,
        kind: PatchKind = "merge",
        subresource: str = "",
        field_manager: str = "",
        force: bool = False,
        dry_run: bool = False,
        user: str = "system:lab",
    ) -> Json:
        """Change an object, or its status, by a patch; kind "apply" creates what is not there."""
        found = self.kinds.need(resource)
        if kind == "apply":
            return apply.server_side_apply(
                self,
                found,
                (namespace, name),
                patch,
                apply.Applying(field_manager, subresource=subresource, force=force, dry_run=dry_run, user=user),
            )
        current = self._need(found, namespace, name)
        if kind == "json":
            new = patches.json_patch(current, patch)
        elif kind == "merge":
            new = patches.merge_patch(current, patch)
        elif found.custom:
            raise unsupported_media(
                ("application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml")
            )
        else:
            new = patches.strategic_merge(current, patch)
        return self.update(
            resource, namespace, name, new,
            subresource=subresource, dry_run=dry_run, user=user, field_manager=field_manager,
        )  # fmt: skip

    def delete(
        self,
        resource: str,
        namespace: str,
        name: str,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        grace_seconds: int | None = None,
        propagation: str = "Background",
        dry_run: bool = False,
    ) -> Json | None:
        """Begin, hasten or finish an object's deletion; what still lingers is returned."""
        kind = self.kinds.need(resource)
        current = self._need(kind, namespace, name)
        check_preconditions(kind, current, uid, resource_version)
        if not terminating(current):
            current = with_propagation(kind, current, propagation)
        now_ms = self.now_ms()
        marked = mark_pod(current, grace_seconds, now_ms) if resource == "pods" else mark(kind, current, now_ms)
        leaving = current if marked is None else marked
        if dry_run:
            return leaving if lingers(kind, leaving) else None
        if propagation == "Orphan":
            orphan_dependents(self, current["metadata"]["uid"])
        key = key_of(namespace if kind.namespaced else "", name)
        if marked is not None and (resource == "pods" or lingers(kind, marked)):
            self._commit(kind, key, marked)
        if not lingers(kind, leaving):
            self.remove(resource, key)
        self.collector.settle()
        return self.peek(resource, key) if lingers(kind, leaving) else None

    def bind(self, namespace: str, name: str, node: str) -> None:
        """Assign a pod to a node: the binding subresource."""
        from burster.lab.apiserver.subresources import bind

        bind(self, namespace, name, node)

    # ---- for the rooms behind it

    def remove(self, resource: str, key: str) -> None:
        """Take an object away at once, whatever it waits for."""
        if self.peek(resource, key) is None:
            return
        kind = self.kinds.need(resource)
        self._commit(kind, key, None)
        if resource == DEFINITIONS:
            self.kinds.remove(key[1:])
            self._collections.pop(key[1:], None)
        self.collector.settle()

    def replace_metadata(self, resource: str, key: str, **changes: Any) -> None:
        """Set some metadata fields of an object, as a controller of the server's own does."""
        current = self.peek(resource, key)
        if current is not None:
            self._replace(self.kinds.need(resource), with_metadata(current, **changes), current, dry_run=False)

    def drop_finalizer(self, resource: str, key: str, finalizer: str) -> None:
        """Take one finalizer off an object, which may end it."""
        current = self.peek(resource, key)
        if current is not None:
            left = [each for each in current["metadata"].get("finalizers") or () if each != finalizer]
            self.replace_metadata(resource, key, finalizers=left or None)

    def replace(self, kind: Kind, new: Json, current: Json, *, dry_run: bool = False, checked: bool = False) -> Json:
        """Commit a whole object in place of the current one; after validation, unless the caller knows it to be right."""
        return self._replace(kind, new, current, dry_run=dry_run, checked=checked)

    def write_applied(
        self, kind: Kind, new: Json, current: Json, *, subresource: str, user: str, dry_run: bool
    ) -> Json:  # fmt: skip
        """Commit what server-side apply has made of an object."""
        self.dropped = []
        refuse_unknown_subresource(kind, subresource)
        check_identity(kind, new, current)
        new = with_metadata(new, **{key: current["metadata"].get(key) for key in ("uid", "resourceVersion")})
        return self._finish_update(kind, new, current, subresource=subresource, user=user, dry_run=dry_run)

    # ---- inside

    def _finish_update(
        self, kind: Kind, new: Json, current: Json, *, subresource: str, user: str, dry_run: bool
    ) -> Json:  # fmt: skip
        new = self._filled(kind, new)
        if subresource == "":
            new = self._admit(kind, "UPDATE", new, user)
        return self._replace(kind, new, current, dry_run=dry_run)

    def _need(self, kind: Kind, namespace: str, name: str) -> Json:
        found = self.peek(kind.resource, key_of(namespace if kind.namespaced else "", name))
        if found is None:
            raise not_found(kind.plural, kind.group, name)
        return found

    def _new_name(self, kind: Kind, namespace: str, given: Json) -> str:
        if given.get("name"):
            return str(given["name"])
        base = given.get("generateName")
        if not base:
            wanted = FieldError(
                "metadata.name", "FieldValueRequired", "Required value: name or generateName is required"
            )
            raise invalid(kind.kind, kind.group, "", [wanted])
        for _ in range(NAME_TRIES):
            name = self.naming.name(kind, namespace, base)
            if self.peek(kind.resource, key_of(namespace, name)) is None:
                return name
        raise already_exists(kind.plural, kind.group, base)

    def _filled(self, kind: Kind, obj: Json) -> Json:
        """The object with defaults, and for custom kinds without what their schema does not know."""
        if kind.schema is None:
            return fill_defaults(kind.resource, obj)
        return fill(kind.schema, prune(kind.schema, obj, dropped=self.dropped))

    def _with_new_status(self, kind: Kind, obj: Json) -> Json:
        if kind.resource == DEFINITIONS:
            return self._defined(obj)
        status = new_status(kind.resource, obj)
        if status or ("status" in kind.subresources and not kind.custom):
            return {**obj, "status": status}
        return obj

    def _defined(self, obj: Json) -> Json:
        check_definition(obj)
        check_collision(obj, self.kinds.find(obj["metadata"]["name"]))
        return established(obj, now_ms=self.now_ms())

    def _admit(self, kind: Kind, operation: str, obj: Json, user: str) -> Json:
        for plugin in sorted(self.admission, key=plugin_name):
            obj = plugin(kind.resource, operation, obj, user)
        return obj

    def _violations(self, kind: Kind, obj: Json) -> Sequence[FieldError]:
        return [] if kind.schema is None else list(violations(kind.schema, obj))

    def _refuse(self, kind: Kind, name: str, errors: Sequence[FieldError]) -> None:
        if errors:
            raise invalid(kind.kind, kind.group, name, [*errors])

    def _replace(self, kind: Kind, new: Json, current: Json, *, dry_run: bool, checked: bool = False) -> Json:
        if new == current:
            return current
        metadata = current["metadata"]
        refuse_new_finalizers(kind, new, current)
        if not checked:
            self._refuse(kind, metadata["name"], [*check_update(kind, new, current), *self._violations(kind, new)])
        if kind.resource == DEFINITIONS:
            new = self._defined(new)
        new = with_generation(kind, new, current)
        if dry_run:
            return new
        key = key_of(metadata.get("namespace", ""), metadata["name"])
        if terminating(new) and not lingers(kind, new):
            self.remove(kind.resource, key)
            return new
        return self._commit_write(kind, key, new)

    def _commit_write(self, kind: Kind, key: str, new: Json) -> Json:
        change = self._commit(kind, key, new)
        self.collector.settle()
        assert change.new is not None, "a write leaves an object"
        return change.new.object

    def _commit(self, kind: Kind, key: str, new: Json | None) -> Change:
        collection = self.collection(kind.resource)
        self.revision += 1
        before = collection.records.get(key)
        event_type: EventType = "DELETED" if new is None else "ADDED" if before is None else "MODIFIED"
        if new is not None:
            new = {**new, "metadata": {**new["metadata"], "resourceVersion": str(self.revision)}}
        change = collection.commit(event_type, key, new, self.revision)
        old = None if before is None else before.object
        if kind.resource == DEFINITIONS and new is not None:
            self._serve(new)
        self.collector.observe(kind, key, new, old)
        callbacks = self._callbacks.get(kind.resource)
        if callbacks:
            event = StoreEvent(event_type, change.gone() if new is None else new, old, self.revision)
            for callback in tuple(callbacks.values()):
                callback(event)
        return change

    def _serve(self, definition: Json) -> None:
        kind = kind_of(definition)
        self.kinds.add(kind)
        if kind.resource in self._collections:
            self._collections[kind.resource].kind = kind
