"""One answer for everybody who asks the same expensive question at the same time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar


T = TypeVar("T")


class Shared(Generic[T]):
    """One expensive read at a time, shared by everybody who asked before it began: an answer is never older than its question."""

    def __init__(self, fetch: Callable[[], Awaitable[T]]) -> None:
        self._fetch = fetch
        self._lock = asyncio.Lock()
        self._begun = 0
        self._latest: tuple[int, T] | None = None

    async def fresh(self) -> T:
        """Return what a read that began after this call found."""
        wanted = self._begun + 1
        async with self._lock:
            if self._latest is not None and self._latest[0] >= wanted:
                return self._latest[1]
            self._begun += 1
            number = self._begun
            found = await self._fetch()
            self._latest = (number, found)
            return found
