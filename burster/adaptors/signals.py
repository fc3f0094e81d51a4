"""PublishSignal: the number of replicas that each policy wants, kept for whoever asks.

Nothing is written to the cluster. The numbers are shown on /metrics as ``burster_wanted_replicas``, where KEDA's prometheus trigger finds
them; after a restart they are published anew by the engine's first decisions.
"""

from collections.abc import Iterator

from burster.model.instructions import PublishSignal
from burster.model.stimuli import SignalPublished


class SignalBoard:
    """The latest number of each policy."""

    def __init__(self) -> None:
        self._wanted: dict[str, tuple[int, bool]] = {}

    def publish(self, instruction: PublishSignal) -> SignalPublished:
        """Put a policy's number up, or take it down."""
        if instruction.withdrawn:
            self.withdraw(instruction.policy)
            return SignalPublished(policy=instruction.policy, replicas=instruction.replicas)
        self._wanted[instruction.policy] = (instruction.replicas, instruction.active)
        return SignalPublished(policy=instruction.policy, replicas=instruction.replicas)

    def withdraw(self, policy: str) -> None:
        """Take a policy's number down: it is gone, and a number that nobody keeps up to date must not be acted on."""
        self._wanted.pop(policy, None)

    def __iter__(self) -> Iterator[tuple[str, int, bool]]:
        """Give policy, replicas and whether it is active, in order of policies."""
        for policy, (replicas, active) in sorted(self._wanted.items()):
            yield policy, replicas, active
