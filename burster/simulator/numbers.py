"""Numbers of replicas in the virtual world: set at a workload, or published for KEDA to act on.

Called by ``hands``. It refuses as the live adaptor does, and follows a published number as KEDA would, at its next look.
"""

from collections.abc import Callable
from typing import Final

from burster.model import instructions as i
from burster.model import stimuli as s
from burster.model.errors import RemoteKind
from burster.simulator.heap import FINISH
from burster.simulator.scaled import ScaledWorkloads
from burster.simulator.world import World


#: How often KEDA looks at a number that is published for it.
_KEDA_LOOKS_MS: Final = 30_000


class Numbers:
    """SetScale and PublishSignal. ``scaled`` is told of each change after it was made."""

    def __init__(
        self,
        world: World,
        workloads: ScaledWorkloads,
        tell: Callable[[s.Stimulus], None],
        scaled: Callable[[], None],
    ) -> None:
        self._world = world
        self._workloads = workloads
        self._tell = tell
        self._scaled = scaled
        #: policy -> the workload that KEDA scales by its signal
        self.followers: dict[str, tuple[str, str, str]] = {}
        self._signals: dict[str, int] = {}

    def set_scale(self, instruction: i.SetScale) -> None:
        """Set a workload's number, unless there is none or somebody else sets it."""
        policy = instruction.policy
        namespace = policy.partition("/")[0]
        key = (namespace, instruction.workload.kind, instruction.workload.name)
        owner = self._workloads.owner(key)
        if owner is None:
            self._tell(failure(instruction, policy, "NotFound", "", f"there is no {key[1]} {namespace}/{key[2]}"))
        elif owner:
            message = f"{owner} sets the number of {key[1]} {namespace}/{key[2]}"
            self._tell(failure(instruction, policy, "Conflict", "ScaleOwnedByOther", message))
        else:
            self._tell(s.ScaleSet(policy=policy, replicas=instruction.replicas))
            self._workloads.scale(key, instruction.replicas)
            self._scaled()

    def publish(self, instruction: i.PublishSignal) -> None:
        """Put a number up; KEDA acts on it when it looks."""
        self._signals[instruction.policy] = instruction.replicas if instruction.active else 0
        self._tell(s.SignalPublished(policy=instruction.policy, replicas=instruction.replicas))
        if instruction.policy in self.followers:
            self._world.agenda.at(self._world.now_ms + _KEDA_LOOKS_MS, FINISH, self._follow, instruction.policy)

    def _follow(self, policy: str) -> None:
        key = self.followers[policy]
        if self._workloads.owner(key) is not None:
            self._workloads.scale(key, self._signals[policy])
            self._scaled()


def failure(instruction: i.Instruction, subject: str, kind: RemoteKind, code: str, message: str) -> s.InstructionFailed:
    """Return that an instruction did not succeed."""
    return s.InstructionFailed(
        instruction=type(instruction).__name__,
        key=instruction.key,
        subject=subject,
        kind=kind,
        code=code,
        message=message,
    )
