"""A scope: whatever has limits of its own. A policy, a namespace at a target, a target, and the cluster are one kind of thing here.

Kept in ``state.scopes`` from the first burst on, whether or not its rules are known yet, so that counts and money are right after a
restart and are not lost when a policy or a target is written anew. Moved only by ``budgets``; read by ``gates`` and the views.
"""

from bisect import insort
from dataclasses import dataclass, field
from typing import Final, Literal

from burster.engine.accounting.money import Account, WindowKind, limits_of
from burster.model.decisions import Reason
from burster.model.limits import Budget, Limits


ScopeKind = Literal["Policy", "Namespace", "Target", "Cluster"]
NO_LIMITS: Final = Limits()
NEVER_CALM: Final = -(1 << 62)
_WHOLE: Final = 100  #: percent


@dataclass(slots=True, eq=False)
class Scope:
    """One scope's limits, what counts against them, and its money."""

    kind: ScopeKind
    key: str  #: of a policy ``namespace/name``; of a namespace ``target/namespace``; a target's name; empty for the cluster
    limits: Limits = NO_LIMITS
    binds: bool = False  #: it has any limits at all
    caps: tuple[tuple[WindowKind, int], ...] = ()  #: the budget's windows that have a limit
    account: Account = field(default_factory=Account)
    active: int = 0  #: bursts that are out, and replicas
    vcpus: int = 0
    vcpus_by_provider: dict[str, int] = field(default_factory=dict[str, int])
    #: when the latest launches were decided, oldest first: as many as the launch rate has to know
    launches: list[int] = field(default_factory=list[int])
    #: what leases that are soon renewed will need: not for new bursts
    claimed_micro_usd: int = 0
    #: window -> the beginning of the latest one for which people were warned
    warned: dict[WindowKind, int] = field(default_factory=dict[WindowKind, int])
    drained: Reason | None = None  #: why everything of it comes home; nothing new starts
    drained_until_ms: int = 0
    held_off: Reason | None = None  #: why nothing new starts: a lease was not renewed for want of money
    held_off_until_ms: int = 0
    #: up to this much reserved and claimed nobody is refused or warned for money: from, until and at what is settled it holds
    calm_micro_usd: int = field(default=NEVER_CALM, metadata={"derived": True})
    calm_from_ms: int = field(default=0, metadata={"derived": True})
    calm_until_ms: int = field(default=0, metadata={"derived": True})
    calm_settled_micro_usd: int = field(default=0, metadata={"derived": True})

    def take(self, limits: Limits) -> None:
        """Hold to other limits from now on; what was told or done under the old ones counts no more."""
        if limits.budget != self.limits.budget:
            self.caps = tuple(limits_of(limits.budget))
            self.warned.clear()
            self.drained = self.held_off = None
        self.limits = limits
        self.binds = limits != NO_LIMITS
        self.calm_until_ms = 0

    def is_calm(self, wanted_micro_usd: int, now_ms: int) -> bool:
        """Say whether so much more can be reserved without any of its budgets refusing it, warning or having drained; False: ask them.

        What is spent moves seldom and what is reserved with every burst: so the borders are reckoned once for many bursts.
        """
        account = self.account
        if (
            not self.calm_from_ms <= now_ms < self.calm_until_ms
            or account.settled_total_micro_usd != self.calm_settled_micro_usd
        ):
            self._reckon_calm(now_ms)
        return account.outstanding_micro_usd + self.claimed_micro_usd + wanted_micro_usd <= self.calm_micro_usd

    def _reckon_calm(self, now_ms: int) -> None:
        budget, account = self.limits.budget, self.account
        self.calm_settled_micro_usd = account.settled_total_micro_usd
        self.calm_from_ms, self.calm_until_ms, self.calm_micro_usd = now_ms, now_ms + 1, NEVER_CALM
        if not self.caps or budget.drain_percent is not None or self.is_held_off(now_ms):
            return
        percent = min(budget.warn_percent, budget.stop_percent, _WHOLE)
        windows = [(account.window(kind, now_ms, budget.timezone), limit) for kind, limit in self.caps]
        self.calm_from_ms = max(window.start_ms for window, _ in windows)
        self.calm_until_ms = min(window.end_ms for window, _ in windows)
        self.calm_micro_usd = min(
            (limit * percent - 1) // _WHOLE - window.settled_micro_usd for window, limit in windows
        )

    def hold_off(self, reason: Reason, until_ms: int) -> None:
        """Have nothing new start for a while."""
        self.held_off, self.held_off_until_ms, self.calm_until_ms = reason, until_ms, 0

    def stopped(self, now_ms: int) -> tuple[Reason, int] | None:
        """Return why nothing new starts whatever money there is, and until when, or None."""
        if self.drained is not None and now_ms < self.drained_until_ms:
            return self.drained, self.drained_until_ms
        if self.held_off is not None and now_ms < self.held_off_until_ms:
            return self.held_off, self.held_off_until_ms
        return None

    def is_held_off(self, now_ms: int) -> bool:
        """Say whether nothing new starts because a lease was not renewed."""
        return self.held_off is not None and now_ms < self.held_off_until_ms

    @property
    def counts(self) -> bool:
        """Whether it has any limit of number: of bursts, vCPUs, launches in a time, or of one provider's share."""
        limits = self.limits
        return bool(
            limits.max_bursts is not None
            or limits.max_vcpus is not None
            or limits.launch_rate is not None
            or limits.provider_shares
        )

    @property
    def budget(self) -> Budget:
        """Its budget."""
        return self.limits.budget

    @property
    def called(self) -> str:
        """What people call it, within a sentence."""
        if self.kind == "Namespace":
            target, _, namespace = self.key.partition("/")
            return f"namespace {namespace} at target {target}"
        if self.kind == "Policy":
            return f"policy {self.key.partition('/')[2]}"
        return f"target {self.key}" if self.kind == "Target" else "the cluster"

    def launched(self, at_ms: int) -> None:
        """Note a launch, as far as the launch rate needs it."""
        rate = self.limits.launch_rate
        if rate is not None:
            insort(self.launches, at_ms)
            del self.launches[: -rate.count or None]

    def is_empty(self, now_ms: int) -> bool:
        """Say whether nothing is in it that could matter any more."""
        return not self.active and self.account.is_empty(now_ms)
