"""The objects of a Kubernetes API server in memory: one revision counter, Kubernetes' semantics, all synchronous.

The server speaks for it over HTTP; the lab's scheduler, kubelets and CAA use it directly. Objects are plain JSON dicts that nobody
changes once the store has them: who wants another value makes another dict. It reads no clock and starts no task.
"""

from collections.abc import Callable, Sequence
from typing import Any

from burster.lab.apiserver import apply, patches
from burster.lab.apiserver.admission import Plugin, admit_pod, check_home, plugin_name
from burster.lab.apiserver.collector import DEFINITIONS, Collector
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
    unsupported_media,
)
from burster.lab.apiserver.kinds import Kind
from burster.lab.apiserver.naming import Naming, arrange, check_namespace, check_type, new_metadata
from burster.lab.apiserver.objects import key_of, section, terminating, with_metadata
from burster.lab.apiserver.preparation import (
    as_definition,
    filled,
    refuse_unknown,
    validate_new,
    validate_update,
    with_first_status,
)
from burster.lab.apiserver.retention import Retention
from burster.lab.apiserver.shelves import Shelves
from burster.lab.apiserver.subresources import bind
from burster.lab.apiserver.updates import (
    check_identity,
    refuse_new_finalizers,
    refuse_unknown_subresource,
    take_over,
    with_generation,
)


HISTORY_MAX = 20_000
NAME_TRIES = 8
EVENTS = "events"
EVENT_TTL_MS = 3_600_000
BUILT_IN_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")


class Store(Shelves):
    """A Kubernetes API server's state and rules, without its HTTP."""

    def __init__(self, now_ms: Callable[[], int], seed: int = 0, *, history_max: int = HISTORY_MAX) -> None:
        super().__init__(history_max=history_max)
        self.now_ms = now_ms
        self.admission: list[Plugin] = []
        self.collector = Collector(self)
        self.naming = Naming(seed)
        self._events = Retention(EVENT_TTL_MS)
        self.dropped: list[str] = []  # unknown fields that the latest write left out
        for name in BUILT_IN_NAMESPACES:
            self.create("namespaces", "", {"metadata": {"name": name}})

    # ---- writing

    def create(  # noqa: PLR0913 - an API request has these options
        self,
        resource: str,
        namespace: str,
        obj: Json,
        *,
        dry_run: bool = False,
        user: str = "system:lab",
        managed: Sequence[Json] = (),
        strict: bool = False,
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
        new = filled(kind, new, self.dropped)
        if strict:
            refuse_unknown(kind, self.dropped)
        new = self._admit(kind, "CREATE", new, user)
        if resource == "pods":
            new = admit_pod(self, new)
        new = as_definition(self.kinds, kind, with_first_status(kind, new), self.now_ms())
        if managed:
            new = with_metadata(new, managedFields=managed)
        validate_new(kind, new)
        return new if dry_run else self._commit_write(kind, key, new)

    def update(  # noqa: PLR0913 - an API request has these options
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
        strict: bool = False,
    ) -> Json:
        """Replace an object, or its status."""
        self.dropped = []
        kind = self.kinds.need(resource)
        refuse_unknown_subresource(kind, subresource)
        current = self.need(kind, namespace, name)
        check_identity(kind, obj, current)
        new = take_over(kind, obj, current, subresource)
        managed = current["metadata"].get("managedFields")
        if managed and new != current:
            new = with_metadata(new, managedFields=managed)
            new = apply.note_update(kind, new, current, (field_manager or "unknown", subresource), self.now_ms())
        return self._finish_update(
            kind, new, current, subresource=subresource, user=user, dry_run=dry_run, strict=strict
        )

    def patch(  # noqa: PLR0913 - an API request has these options
        self,
        resource: str,
        namespace: str,
        name: str,
        patch: Any,
        *,
        kind: patches.PatchKind = "merge",
        subresource: str = "",
        field_manager: str = "",
        force: bool = False,
        dry_run: bool = False,
        user: str = "system:lab",
        strict: bool = False,
    ) -> Json:
        """Change an object, or its status, by a patch; kind "apply" creates what is not there."""
        found = self.kinds.need(resource)
        if kind == "apply":
            return apply.server_side_apply(
                self,
                found,
                (namespace, name),
                patch,
                apply.Applying(
                    field_manager, subresource=subresource, force=force, dry_run=dry_run, user=user, strict=strict
                ),
            )
        current = self.need(found, namespace, name)
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

    def delete(  # noqa: PLR0913 - an API request has these options
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
        current = self.need(kind, namespace, name)
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
            self.commit(kind, key, marked)
        if not lingers(kind, leaving):
            self.remove(resource, key)
        self.collector.settle()
        return self.peek(resource, key) if lingers(kind, leaving) else None

    def bind(self, namespace: str, name: str, node: str) -> None:
        """Assign a pod to a node: the binding subresource."""
        bind(self, namespace, name, node)

    # ---- for the rooms behind it

    def committed(self, kind: Kind, key: str, new: Json | None, old: Json | None) -> None:
        """Tell the collector of each commit, and let events grow no older than they may."""
        self.collector.observe(kind, key, new, old)
        if kind.resource == EVENTS and new is not None:
            for expired in self._events.written(key, self.now_ms()):
                if self.peek(EVENTS, expired) is not None:
                    self.commit(kind, expired, None)

    def remove(self, resource: str, key: str) -> None:
        """Take an object away at once, whatever it waits for."""
        if self.peek(resource, key) is None:
            return
        kind = self.kinds.need(resource)
        self.commit(kind, key, None)
        if resource == DEFINITIONS:
            self.withdraw(key[1:])
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

    def write_applied(  # noqa: PLR0913 - an API request has these options
        self, kind: Kind, new: Json, current: Json, *, subresource: str, user: str, dry_run: bool, strict: bool
    ) -> Json:  # fmt: skip
        """Commit what server-side apply has made of an object."""
        self.dropped = []
        refuse_unknown_subresource(kind, subresource)
        check_identity(kind, new, current)
        new = with_metadata(new, **{key: current["metadata"].get(key) for key in ("uid", "resourceVersion")})
        return self._finish_update(
            kind, new, current, subresource=subresource, user=user, dry_run=dry_run, strict=strict
        )

    # ---- inside

    def _finish_update(  # noqa: PLR0913 - an API request has these options
        self, kind: Kind, new: Json, current: Json, *, subresource: str, user: str, dry_run: bool, strict: bool
    ) -> Json:  # fmt: skip
        new = filled(kind, new, self.dropped)
        if strict:
            refuse_unknown(kind, self.dropped)
        if subresource == "":
            new = self._admit(kind, "UPDATE", new, user)
        return self._replace(kind, new, current, dry_run=dry_run)

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

    def _admit(self, kind: Kind, operation: str, obj: Json, user: str) -> Json:
        for plugin in sorted(self.admission, key=plugin_name):
            obj = plugin(kind.resource, operation, obj, user)
        return obj

    def _replace(self, kind: Kind, new: Json, current: Json, *, dry_run: bool, checked: bool = False) -> Json:
        if new == current:
            return current
        metadata = current["metadata"]
        refuse_new_finalizers(kind, new, current)
        if not checked:
            validate_update(kind, new, current)
        new = with_generation(kind, as_definition(self.kinds, kind, new, self.now_ms()), current)
        if dry_run:
            return new
        key = key_of(metadata.get("namespace", ""), metadata["name"])
        if terminating(new) and not lingers(kind, new):
            self.remove(kind.resource, key)
            return new
        return self._commit_write(kind, key, new)

    def _commit_write(self, kind: Kind, key: str, new: Json) -> Json:
        change = self.commit(kind, key, new)
        self.collector.settle()
        return new if change.new is None else change.new.object
