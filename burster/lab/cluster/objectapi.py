"""What kubelets and CAA need of an API server, so that they work beside the lab's and beside a real one.

``Store`` is one, in memory: every write has happened when it returns. ``burster.lab.hollow.mirror.Mirror`` is the other, over the wire: a
write is on its way when it returns. Whoever works on this port must be content with either.
"""

from collections.abc import Callable
from typing import Any, Literal, Protocol

from burster.lab.apiserver.shelves import StoreEvent


Json = dict[str, Any]


class ObjectApi(Protocol):
    """Objects by resource (``pods``, ``leases.coordination.k8s.io``), namespace ("" where there is none) and name."""

    def get(self, resource: str, namespace: str, name: str) -> Json:
        """Return an object. Raises ApiError 404."""
        ...

    def list(self, resource: str, namespace: str = "", *, labels: str = "") -> list[Json]:
        """Return the objects that a label selector selects; of all namespaces where none is given."""
        ...

    def subscribe(self, resource: str, callback: Callable[[StoreEvent], None]) -> Callable[[], None]:
        """Call back for every change from now on, until the returned function is called."""
        ...

    def create(self, resource: str, namespace: str, obj: Json) -> Json:
        """Create an object. Raises ApiError 409 where the name is known to be taken."""
        ...

    def update(self, resource: str, namespace: str, name: str, obj: Json, *, subresource: str = "") -> Json:
        """Make an object, or its status, what ``obj`` says. Raises ApiError 404 and, in memory, 409 for an old version."""
        ...

    def patch(
        self, resource: str, namespace: str, name: str, patch: Any, *, kind: Literal["merge"] = "merge", subresource: str = ""
    ) -> Json:  # fmt: skip
        """Change an object by a merge patch. Raises ApiError 404."""
        ...

    def delete(
        self, resource: str, namespace: str, name: str, *, uid: str | None = None, grace_seconds: int | None = None
    ) -> Json | None:  # fmt: skip
        """Begin or finish an object's deletion. Raises ApiError 404."""
        ...
