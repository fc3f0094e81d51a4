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
        self._gone: set[str] = set()

    def publish(self, instruction: PublishSignal) -> SignalPublished:
        """Put a policy's number up, or take it down."""
        if instruction.withdrawn:
            self._wanted.pop(instruction.policy, None)
            self._gone.discard(instruction.policy)
        else:
            self._wanted[instruction.policy] = (instruction.replicas, instruction.active)
        return SignalPublished(policy=instruction.policy, replicas=instruction.replicas)

    def policy_gone(self, policy: str) -> None:
        """Show its number no more, before the engine gets to take it down: what nobody keeps up to date must not be acted on."""
        if policy in self._wanted:
            self._gone.add(policy)

    def policy_seen(self, policy: str) -> None:
        """Show its number again, where it went and came so fast that the engine is told of a new version only."""
        self._gone.discard(policy)

    def __iter__(self) -> Iterator[tuple[str, int, bool]]:
        """Give policy, replicas and whether it is active, in order of policies."""
        for policy, (replicas, active) in sorted(self._wanted.items()):
            if policy not in self._gone:
                yield policy, replicas, active
