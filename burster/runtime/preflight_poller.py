"""The standing preflight: every target's checks again and again, at once when it is new or edited.

Called by the wiring's tap on the bus, like ``cloud_facts``. Until a target was looked at for the first time, and after each edit, nothing
new starts there. What can't be read keeps its former result for a bounded time; after that, what is about confidentiality stops new
launches, and the rest is told. One target at a time; one round has a deadline.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol, TypeVar

import structlog

from burster.model import stimuli as s
from burster.model.errors import BursterError, RemoteError
from burster.model.policies import Policy
from burster.model.stimuli import Stimulus, TargetProblem
from burster.model.targets import Target
from burster.runtime.agenda import Agenda
from burster.runtime.clock import Clock
from burster.settings import Settings
from burster.sources.preflight import BY_CODE, Finding, Known, Places, known_of
from burster.sources.preflight.catalogue import TRUSTEE
from burster.sources.preflight.findings import problem_of


_Fact = TypeVar("_Fact")
_log = structlog.get_logger("burster.runtime.preflight")

_DEADLINE_S: Final = 120.0
#: facts that come together (a list of policies, offerings and quota of a new target) are looked at together
_TOGETHER_S: Final = 1.0
#: how soon a target is looked at again where something could not be read, or blocks it
_AGAIN_S: Final = 60.0
_KEEP_MS: Final = 900_000
_TEXT_MAX: Final = 600
_NOT_YET: Final = TargetProblem(
    code=s.NOT_CHECKED_YET, sentence="It was not checked yet, or not since it was edited.", blocks=True
)


class Examiner(Protocol):
    """Who makes the checks. Never raises RemoteError."""

    async def examine(self, target: Target, known: Known) -> tuple[Finding, ...]:
        """Return one finding for each check that is asked again and again."""
        ...


class PreflightPoller:
    """What is to be looked at, what was found, and the one task that looks."""

    def __init__(
        self, examiner: Examiner, post: Callable[[Stimulus], None], clock: Clock, *, keep_ms: int = _KEEP_MS
    ) -> None:
        self._examiner = examiner
        self._post = post
        self._clock = clock
        self._keep_s = keep_ms / 1000
        self._targets: dict[str, Target] = {}
        self._policies: dict[str, Policy] = {}
        self._offerings: dict[str, s.OfferingsSeen | RemoteError] = {}
        self._quotas: dict[str, s.QuotaSeen | RemoteError] = {}
        self._due = Agenda[str](clock, lambda name: name)  #: targets that are to be looked at
        #: (target, check) -> the latest finding that was really read, and when
        self._read: dict[tuple[str, str], tuple[Finding, float]] = {}
        self._told: dict[str, tuple[Stimulus, ...]] = {}  #: target -> what was posted last
        self.findings: dict[str, tuple[Finding, ...]] = {}  #: target -> its latest findings, as they count

    @property
    def busy(self) -> bool:
        """Whether something is being looked at or about to be."""
        return self._due.busy

    def verdicts(self) -> Iterator[tuple[str, str, str]]:
        """Yield target, check and verdict of all that is known."""
        for name, found in sorted(self.findings.items()):
            for one in found:
                yield name, one.check, one.verdict

    def hear(self, stimulus: Stimulus) -> None:
        """Note what checks are about; called with every fact before it is posted."""
        match stimulus:
            case s.TargetSeen(target=target):
                self._target_seen(target)
            case s.TargetGone(name=name) | s.TargetRefused(name=name):
                self._forget(name)
            case s.PolicySeen(policy=policy):
                self._policy_seen(policy)
            case s.PolicyGone(key=key):
                self._policies.pop(key, None)
            case s.OfferingsSeen(target=name):
                self._fact(self._offerings, name, stimulus)
            case s.QuotaSeen(target=name):
                self._fact(self._quotas, name, stimulus)
            case s.TargetUnread(target=name, fact=fact, message=message, kind=kind):
                error = RemoteError(kind or "Unavailable", message)
                if fact == "quota":
                    self._fact(self._quotas, name, error)
                else:
                    self._fact(self._offerings, name, error)
            case s.Tick(kind="preflight"):
                for name in self._targets:
                    self._due.wish(name)
            case _:
                pass

    async def run(self) -> None:
        """Look at what is due until cancelled."""
        await self._due.run(self._look)

    # --- hearing ---

    def _target_seen(self, target: Target) -> None:
        if self._targets.get(target.name) == target:
            return
        self._targets[target.name] = target
        self._read = {key: value for key, value in self._read.items() if key[0] != target.name}
        # no launch on doubt: what was found is of what the target was before
        self._tell(target.name, s.TargetChecked(target=target.name, problems=(_NOT_YET,)))
        self._due.wish(target.name)

    def _forget(self, name: str) -> None:
        for kept in (self._targets, self._offerings, self._quotas, self._told, self.findings):
            kept.pop(name, None)
        self._due.drop(name)
        self._read = {key: value for key, value in self._read.items() if key[0] != name}

    def _policy_seen(self, policy: Policy) -> None:
        before = self._policies.get(policy.key)
        self._policies[policy.key] = policy
        names = set(policy.placement.targets) | set(before.placement.targets if before else ())
        for name in sorted(names & self._targets.keys()):
            if before is None or _needs(before) != _needs(policy):
                self._due.wish(name, after_s=_TOGETHER_S)

    def _fact(self, kept: dict[str, _Fact], name: str, fact: _Fact) -> None:
        if name in self._targets and kept.get(name) != fact:
            kept[name] = fact
            self._due.wish(name, after_s=_TOGETHER_S)

    # --- looking ---

    async def _look(self, name: str) -> None:
        target = self._targets.get(name)
        if target is None:
            return
        known = known_of(target, self._policies.values(), self._offerings.get(name), self._quotas.get(name))
        found = await self._round(target, known)
        if self._targets.get(name) != target:
            return  # edited meanwhile: it is looked at again
        if not found:
            self._due.wish(name, after_s=_AGAIN_S)
            return  # nothing was ever found: it stays as it is, not checked yet
        counting = tuple(self._counting(name, one) for one in found)
        self.findings[name] = counting
        machines_only = bool(known.machines_by) and not known.peer_pods_by
        facts = _facts(name, counting, machines_only=machines_only)
        self._tell(name, *facts)
        if any(one.unread for one in found) or any(problem.blocks for problem in facts[0].problems):
            # whoever mends it does not want to wait for the next round
            self._due.wish(name, after_s=_AGAIN_S)

    async def _round(self, target: Target, known: Known) -> tuple[Finding, ...]:
        """Return what was found; for a round that came to no end, what the former one looked at, as unread."""
        try:
            async with asyncio.timeout(_DEADLINE_S):
                return await self._examiner.examine(target, known)
        except TimeoutError:
            why = f"The checks came to no end within {_DEADLINE_S:g} s."
        except BursterError as error:
            why = f"The checks came to no end: {error}"
        _log.warning("preflight.failed", target=target.name, message=why)
        checks = [check for name, check in self._read if name == target.name]
        return tuple(Finding(check=check, verdict="problem", sentence=why, unread=True) for check in checks)

    def _counting(self, name: str, finding: Finding) -> Finding:
        """Return a finding as it counts: what can't be read is what it was, for a while."""
        key, now = (name, finding.check), self._clock.monotonic()
        if not finding.unread:
            self._read[key] = (finding, now)
            return finding
        before = self._read.get(key)
        if before is not None and now - before[1] <= self._keep_s:
            return before[0]
        return finding

    def _tell(self, name: str, *facts: Stimulus) -> None:
        """Post what is new."""
        if self._told.get(name) != facts:
            self._told[name] = facts
            for fact in facts:
                self._post(fact)


def places_of(settings: Settings) -> Places:
    """Return where checks look for cloud-api-adaptor."""
    preflight = settings.preflight
    return Places(
        namespaces=_parts(preflight.namespaces),
        config_map=preflight.config_map,
        daemon_sets=_parts(preflight.daemon_sets),
        home=settings.namespace,
    )


def _facts(name: str, findings: Iterable[Finding], *, machines_only: bool) -> tuple[s.TargetChecked, s.TrusteeHealth]:
    """Return what the engine is told: the problems, those that block first, and whether the Trustee answers."""
    problems: list[TargetProblem] = []
    trustee = s.TrusteeHealth(target=name, healthy=True)
    for one in findings:
        check = BY_CODE[one.check]
        if check is TRUSTEE:
            # who needs it is held back by name: policies that require attestation
            if one.verdict == "problem":
                trustee = s.TrusteeHealth(target=name, healthy=False, message=one.sentence[:_TEXT_MAX])
            continue
        problem = problem_of(check, one)
        if problem is not None and not (machines_only and check.peer_pods):
            problems.append(_bounded(problem))
    problems.sort(key=lambda problem: not problem.blocks)
    return s.TargetChecked(target=name, problems=tuple(problems)), trustee


def _bounded(problem: TargetProblem) -> TargetProblem:
    return TargetProblem(
        code=problem.code,
        sentence=problem.sentence[:_TEXT_MAX],
        cure=problem.cure[:_TEXT_MAX],
        blocks=problem.blocks,
        peer_pods=problem.peer_pods,
    )


def _needs(policy: Policy) -> tuple[object, ...]:
    """Return what of a policy its targets' checks depend on."""
    asked = policy.confidential
    return policy.placement.targets, policy.placement.strategy, asked.secure_boot, asked.attestation


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))
