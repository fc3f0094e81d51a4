"""Resources by id, in the order of their ids: what ARM's paged lists need.

Used by the cloud for VMs and by the attachments for everything else. A page costs what is on it, however many
resources there are.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from typing import Generic, TypeVar


T = TypeVar("T")


class Shelf(Generic[T]):
    """A dictionary whose keys are also kept sorted."""

    def __init__(self) -> None:
        self._items: dict[str, T] = {}
        self._keys: list[str] = []

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, key: str) -> bool:
        return key in self._items

    def __getitem__(self, key: str) -> T:
        return self._items[key]

    def __setitem__(self, key: str, item: T) -> None:
        if key not in self._items:
            insort(self._keys, key)
        self._items[key] = item

    def __delitem__(self, key: str) -> None:
        del self._items[key]
        del self._keys[bisect_left(self._keys, key)]

    def get(self, key: str) -> T | None:
        """Return what has the key, None where nothing has."""
        return self._items.get(key)

    def values(self) -> Iterator[T]:
        """Give everything, in the order in which it came."""
        return iter(self._items.values())

    def under(self, prefix: str, *, after: str = "") -> Iterator[T]:
        """Give everything whose key begins so, sorted, behind the key ``after``."""
        start = max(bisect_left(self._keys, prefix), bisect_right(self._keys, after))
        for position in range(start, len(self._keys)):
            key = self._keys[position]
            if not key.startswith(prefix):
                return
            yield self._items[key]

    def page(self, prefix: str, *, after: str, size: int) -> list[T]:
        """Return the first ``size`` of them."""
        return [item for item, _ in zip(self.under(prefix, after=after), range(size), strict=False)]
