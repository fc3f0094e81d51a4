"""What `burster why` and `burster history` answer, as values: the same from a finished run, a controller's HTTP surface, and records.

Nothing here reads anything. Every list is bounded by whoever fills it, and says so where something was left out.
"""

from typing import Any, Final, Protocol

import msgspec

from burster.engine.why import Link, PodWhy
from burster.model.bursts import Phase
from burster.model.decisions import Decision
from burster.model.errors import InputError
from burster.surfaces.spending import SpendQuery, SpendReport
from burster.surfaces.view import StatusView


#: decisions in one answer to `history`
HISTORY_MAX: Final = 10_000
#: decisions about one pod or burst, and bursts of one pod, that an answer tells: the latest
SUBJECT_DECISIONS_MAX: Final = 200
SUBJECT_BURSTS_MAX: Final = 20
POLICY_DECISIONS_MAX: Final = 20


class NotFoundError(InputError):
    """What was asked could be read, and what was asked for is not in it."""

    exit_code = 1


class AmbiguousError(NotFoundError):
    """A name that several things have."""


class Happened(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened, in words."""

    at_ms: int
    what: str


class BurstTold(msgspec.Struct, frozen=True, kw_only=True):
    """One burst from its decision to where it is now, or ended."""

    burst: str
    policy: str
    pod: str  #: the pending pod it was decided for
    offering: str  #: target/region/size
    phase: Phase
    decided_at_ms: int
    vms: tuple[str, ...] = ()
    reserved_micro_usd: int = 0
    settled_micro_usd: int | None = None
    life: tuple[Happened, ...] = ()


class Condition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A condition as the cluster's objects have it; all that is known of a policy where no controller answers."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    since_ms: int = 0


class SubjectAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of a pod, a burst or a VM."""

    about: str
    seen: tuple[Happened, ...] = ()
    decisions: tuple[Decision, ...] = ()
    bursts: tuple[BurstTold, ...] = ()
    now: PodWhy | None = None  #: where a pod that waits at this moment stands
    conditions: tuple[Condition, ...] = ()  #: of the pod, told from the cluster


class VerdictCount(msgspec.Struct, frozen=True, kw_only=True):
    """How often a policy has decided something."""

    verdict: str
    code: str
    count: int


class PolicyAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a policy has decided, and each of its checks as it stands."""

    about: str
    verdicts: tuple[VerdictCount, ...] = ()  #: of the latest HISTORY_MAX decisions
    bursts: int = 0
    settled_micro_usd: int = 0
    chain: tuple[Link, ...] = ()
    decisions: tuple[Decision, ...] = ()
    conditions: tuple[Condition, ...] = ()


class WhyAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One or both of the two: a pod and a policy may have the same name."""

    policy: PolicyAnswer | None = None
    subject: SubjectAnswer | None = None

    @property
    def parts(self) -> tuple[PolicyAnswer | SubjectAnswer, ...]:
        """What there is, the policy first."""
        return tuple(part for part in (self.policy, self.subject) if part is not None)


class HistoryQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which decisions. ``policy`` is NAME or NAMESPACE/NAME; of a namespace are its pods, bursts and policies."""

    policy: str = ""
    namespace: str = ""
    since_ms: int | None = None
    limit: int = 200


class EventTold(msgspec.Struct, frozen=True, kw_only=True):
    """One of burster's Kubernetes events: all that is told of the past where no controller answers."""

    at_ms: int
    about: str  #: kind namespace/name
    reason: str
    message: str


class HistoryAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The latest that match, oldest first, and how many decisions there are in all."""

    decisions: tuple[Decision, ...] = ()
    total: int = 0
    events: tuple[EventTold, ...] = ()  #: in place of decisions


class Gate(Protocol):
    """Who decides who may ask."""

    async def admit(self, token: str, namespace: str) -> bool:
        """Say whether a token's owner may see everything; where not, they may see that namespace ("": none is asked about).

        Raises UnknownAskerError, ForbiddenError, BusyError, BursterError.
        """
        ...


class Questions(Protocol):
    """Who answers for a controller. Raises InputError for what can't be asked, NotFoundError, BusyError, StandingByError."""

    async def status(self) -> StatusView:
        """Return how everything stands."""
        ...

    async def why(self, name: str) -> WhyAnswer:
        """Return what is known of NAME or NAMESPACE/NAME."""
        ...

    async def history(self, query: HistoryQuery) -> HistoryAnswer:
        """Return decisions."""
        ...

    async def spend(self, query: SpendQuery) -> SpendReport:
        """Return what bursting costs."""
        ...


class BusyError(InputError):
    """Too many ask at once."""


class NotReadyError(InputError):
    """Who is asked has just begun, and does not know yet what there is."""


class UnknownAskerError(InputError):
    """Nobody knows who asks, and that has to be known."""


class ForbiddenError(InputError):
    """It is known who asks, and they may not."""


class StandingByError(InputError):
    """Another replica leads and knows; ``leader`` is its identity, empty where nobody leads yet."""

    def __init__(self, message: str, leader: str = "") -> None:
        super().__init__(message)
        self.leader = leader


def plain(value: object) -> Any:
    """Return a value as what JSON and YAML are made of."""
    return msgspec.to_builtins(value)
