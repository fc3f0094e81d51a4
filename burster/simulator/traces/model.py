"""What a trace is: what arrived when, for how long, and what it asked for.

Made by the readers and the generator; played by the simulator and by the lab's trace player. Holds no policy, no cluster and no file
handles; every value in it has been checked.
"""

import re
from typing import Final, Literal

import msgspec

from burster.model.pods import Resources


EntryKind = Literal["Pod", "Deployment"]
TraceFormat = Literal["openb", "csv", "jsonl"]

#: A Kubernetes object name; both players create objects of these names, so what isn't one is refused at the border.
NAME: Final = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?")
#: A trace of more entries than this is a mistake, not a trace.
ENTRIES_MAX: Final = 10_000_000


class TraceEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One thing that happens in a trace.

    ``Pod``: a task of its own arrives at ``arrival_ms``, needs ``requests``, and is done after running for ``duration_ms``.
    ``Deployment``: from ``arrival_ms`` on, the Deployment ``name`` has ``replicas`` replicas of ``requests`` each, until the next entry
    of that name says otherwise; its ``duration_ms`` is 0, since a service ends when it is scaled, not by itself.
    """

    arrival_ms: int
    name: str
    kind: EntryKind = "Pod"
    duration_ms: int = 0
    replicas: int = 1
    requests: Resources = Resources()
    namespace: str = "default"
    priority: int = 0
    labels: dict[str, str] = {}


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """A trace in order of arrival, and where it came from.

    ``dropped`` says for each reason how many rows of the file were left out; ``rebased_from_ms`` is what was subtracted from its times.
    """

    source: str
    format: TraceFormat
    entries: tuple[TraceEntry, ...]
    rows_read: int
    dropped: dict[str, int] = {}
    rebased_from_ms: int = 0

    @property
    def pods(self) -> int:
        """Return how many pods the trace creates: its tasks, plus one for each replica a Deployment is ever raised by."""
        total = 0
        replicas: dict[tuple[str, str], int] = {}
        for entry in self.entries:
            if entry.kind == "Pod":
                total += 1
                continue
            key = (entry.namespace, entry.name)
            total += max(0, entry.replicas - replicas.get(key, 0))
            replicas[key] = entry.replicas
        return total

    @property
    def span_ms(self) -> int:
        """Return the time from the first arrival to the last."""
        return self.entries[-1].arrival_ms - self.entries[0].arrival_ms if self.entries else 0
