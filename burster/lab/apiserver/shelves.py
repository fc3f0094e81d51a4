"""All collections of one API server under one revision counter: reading them, and committing to them.

The store adds the rules of writing to it. It validates nothing; what is committed here has been found right.
"""

from collections.abc import Callable
from typing import NamedTuple

from burster.lab.apiserver.collection import Change, Collection, EventType
from burster.lab.apiserver.collector import DEFINITIONS
from burster.lab.apiserver.definitions import kind_of
from burster.lab.apiserver.errors import Json, not_found
from burster.lab.apiserver.kinds import Kind, Kinds
from burster.lab.apiserver.objects import key_of
from burster.lab.apiserver.pages import Ask, Page, page
from burster.lab.apiserver.selectors import compile_selectors


class StoreEvent(NamedTuple):
    """One committed write, as subscribers inside the process see it."""

    type: EventType
    object: Json
    old: Json | None
    revision: int


Callback = Callable[[StoreEvent], None]


class Shelves:
    """The objects of all resources."""

    def __init__(self, *, history_max: int) -> None:
        self.revision = 0
        self.kinds = Kinds()
        self._history_max = history_max
        self._collections: dict[str, Collection] = {}
        self._callbacks: dict[str, dict[int, Callback]] = {}
        self._callback_ids = 0

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
        return self.need(self.kinds.need(resource), namespace, name)

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

    def need(self, kind: Kind, namespace: str, name: str) -> Json:
        """One object of a kind; 404 where it is not there."""
        found = self.peek(kind.resource, key_of(namespace if kind.namespaced else "", name))
        if found is None:
            raise not_found(kind.plural, kind.group, name)
        return found

    # ---- committing

    def committed(self, kind: Kind, key: str, new: Json | None, old: Json | None) -> None:
        """Hear of each commit before subscribers do."""

    def commit(self, kind: Kind, key: str, new: Json | None) -> Change:
        """Take one write in, or None to take the object out: next revision, history, watchers, subscribers."""
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
        self.committed(kind, key, new, old)
        callbacks = self._callbacks.get(kind.resource)
        if callbacks:
            event = StoreEvent(event_type, change.gone() if new is None else new, old, self.revision)
            for callback in tuple(callbacks.values()):
                callback(event)
        return change

    def withdraw(self, resource: str) -> None:
        """Serve a custom resource no more."""
        self.kinds.remove(resource)
        left = self._collections.pop(resource, None)
        if left is not None:
            left.close()

    def _serve(self, definition: Json) -> None:
        kind = kind_of(definition)
        self.kinds.add(kind)
        if kind.resource in self._collections:
            self._collections[kind.resource].kind = kind
