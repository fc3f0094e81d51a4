"""How many policies of one namespace count: whoever may write policies there may write thousands, and every one costs time and memory.

The first ``most`` of a namespace have a place, in the order in which they were heard of. As many again are refused and told so, and get a
place when one is free; of all others nothing is kept. Called by ``policies``; it decides nothing about what a policy says.
"""

from typing import Final

import structlog

from burster.model.stimuli import Stimulus


#: As many as any namespace sensibly has, where no setting says otherwise.
MOST: Final = 200
_log: Final = structlog.get_logger("burster.sources.policies")


class _Namespace:
    """Who has a place, and who waits for one with what is to be told then."""

    __slots__ = ("beyond", "placed", "waiting")

    def __init__(self) -> None:
        self.placed: set[str] = set()
        self.waiting: dict[str, Stimulus | None] = {}
        self.beyond = False  #: that there are more was said


class PolicyPlaces:
    """The places of all namespaces."""

    def __init__(self, most: int = MOST) -> None:
        self._most: Final = most
        self._namespaces: dict[str, _Namespace] = {}

    def find(self, namespace: str, key: str) -> bool | None:
        """Return whether a policy has a place: True, False where it waits for one, None where nobody listens to it."""
        one = self._namespaces.setdefault(namespace, _Namespace())
        if key in one.placed:
            return True
        if key in one.waiting:
            return False
        if len(one.placed) < self._most:
            one.placed.add(key)
            return True
        if len(one.waiting) < self._most:
            one.waiting[key] = None
            return False
        if not one.beyond:
            one.beyond = True
            _log.warning("policies.too_many", namespace=namespace, counted=self._most, told=2 * self._most)
        return None

    def wait(self, namespace: str, key: str, stimulus: Stimulus) -> str:
        """Keep what is to be told of a policy that waits once it has a place; return why it has none, in words."""
        self._namespaces[namespace].waiting[key] = stimulus
        return (
            f"{namespace} has more than {self._most} policies, and {self._most} of a namespace count "
            "(BURSTER_NAMESPACE_MAX_POLICIES). Delete some that are not needed."
        )

    def leave(self, namespace: str, key: str) -> Stimulus | None:
        """Let a policy go; return what is to be told of the one that has its place now."""
        one = self._namespaces.get(namespace)
        if one is None:
            return None
        one.waiting.pop(key, None)
        told: Stimulus | None = None
        if key in one.placed:
            one.placed.discard(key)
            heir = next((other for other, kept in one.waiting.items() if kept is not None), None)
            if heir is not None:
                told = one.waiting.pop(heir)
                one.placed.add(heir)
        if not one.placed and not one.waiting:
            del self._namespaces[namespace]
        return told
