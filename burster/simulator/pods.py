"""A pod in the virtual world, wherever it is. Made by the world from trace entries; moved on by the on-prem and the cloud model."""

from dataclasses import dataclass
from typing import Literal

from burster.model.pods import Owner, Resources


Place = Literal["", "on-prem", "cloud"]


@dataclass(slots=True, eq=False)
class SimPod:
    """One pod of the trace: a task, or one replica of a Deployment (which has no duration of its own)."""

    number: int  #: in order of arrival; also the order in which equals are scheduled
    namespace: str
    name: str
    uid: str
    requests: Resources
    priority: int
    labels: dict[str, str]
    arrived_ms: int
    duration_ms: int | None  #: None: it runs until it is scaled away
    workload: Owner | None = None
    owner: Owner | None = None
    generation: int = 1  #: counts re-creations under the same name
    node: int = -1  #: where it runs on-prem; -1: nowhere
    turn: int = 0  #: its place in the scheduler's queue among equals
    pending_since_ms: int = -1
    seen: bool = False  #: the controller knows it as pending
    served_at_ms: int = -1  #: when the work that counts began
    served_by: Place = ""
    gone: bool = False  #: done, scaled away, or lost
    restarts: int = 0

    def serve(self, now_ms: int, place: Place) -> None:
        """Note that it works now; what counts is the first time, for the run that is not lost."""
        if self.served_at_ms < 0:
            self.served_at_ms, self.served_by = now_ms, place

    def unserve(self) -> None:
        """Note that it has to start anew; what it had done already, if anything, is lost."""
        self.restarts += self.served_at_ms >= 0
        self.served_at_ms, self.served_by = -1, ""
