"""What `burster why`, `history` and `spend` answer, from a ledger and (where there is one) the engine's state.

Called by the command line for a finished run, and by ``questions`` for a controller. The functions that take a ledger may take seconds:
in a controller they run on a thread with a reader of their own. Those that take a state are quick, and only the loop's thread may call
them. Nothing is changed.
"""

import difflib
from collections import Counter
from collections.abc import Callable, Iterable

import msgspec

from burster.engine import ACTIVE, State
from burster.engine.accounting.costs import real_cost_micro_usd
from burster.ledger import Ledger
from burster.ledger.story import burst_stories, life_of_burst, pod_events
from burster.model.quantities import cost_micro_usd
from burster.model.stimuli import Spend
from burster.surfaces.answers import (
    HISTORY_MAX,
    POLICY_DECISIONS_MAX,
    SUBJECT_BURSTS_MAX,
    SUBJECT_DECISIONS_MAX,
    AmbiguousError,
    BurstTold,
    Happened,
    HistoryAnswer,
    HistoryQuery,
    NotFoundError,
    PolicyAnswer,
    SubjectAnswer,
    VerdictCount,
    WhyAnswer,
)
from burster.surfaces.spending import OpenMoney


_SAME_NAME_MAX = 5


def resolve(name: str, known: Iterable[str], *, where: str = "in this run", what: str = "was decided about") -> str:
    """Return the key that NAME or NAMESPACE/NAME means. Raises NotFoundError with near matches, AmbiguousError with what it could mean."""
    keys = list(dict.fromkeys(known))
    if name in keys:
        return name
    found = sorted(key for key in keys if key.partition("/")[2] == name)
    if len(found) == 1:
        return found[0]
    if found:
        more = f" and {len(found) - _SAME_NAME_MAX} more" if len(found) > _SAME_NAME_MAX else ""
        raise AmbiguousError(
            f"{name!r} is the name of {len(found)} things {where}: {', '.join(found[:_SAME_NAME_MAX])}{more}; "
            "say which, as NAMESPACE/NAME"
        )
    by_name = {key.partition("/")[2] or key: key for key in keys}
    near = [
        *difflib.get_close_matches(name, keys, n=3, cutoff=0.6),
        *(by_name[match] for match in difflib.get_close_matches(name, list(by_name), n=3, cutoff=0.6)),
    ]
    hint = f"did you mean {' or '.join(dict.fromkeys(near))}?" if near else "burster history lists what was decided"
    raise NotFoundError(f"nothing {what} {name!r} {where}: {hint}")


def subjects_of(ledger: Ledger) -> tuple[str, ...]:
    """Return every key that something was decided about, or by."""
    bursts = (decision.burst for decision in ledger.decisions(verdict="Burst"))
    return tuple(dict.fromkeys((*ledger.subjects(), *bursts)))


def is_known(ledger: Ledger, key: str) -> bool:
    """Say, without reading everything, whether something was decided about a key."""
    return any(
        ledger.decisions(subject=subject, burst=burst, policy=policy, limit=1)
        for subject, burst, policy in ((key, None, None), (None, key, None), (None, None, key))
    )


def subject_answer(ledger: Ledger, key: str) -> SubjectAnswer | None:
    """Return what is known of a pod, or of a burst or VM that decisions are about; None where nothing is."""
    about = list(ledger.decisions(subject=key, limit=SUBJECT_DECISIONS_MAX))
    bursts = list(dict.fromkeys([key, *(decision.burst for decision in about if decision.burst)]))[-SUBJECT_BURSTS_MAX:]
    told: dict[str, BurstTold] = {}
    for burst in bursts:
        about += ledger.decisions(burst=burst, limit=SUBJECT_DECISIONS_MAX)
        for story in burst_stories(ledger, burst=burst):
            life = tuple(Happened(at_ms=one.at_ms, what=one.what) for one in life_of_burst(ledger, story.burst))
            told[story.burst] = BurstTold(
                burst=story.burst,
                policy=story.policy,
                pod=story.pod,
                offering=story.offering,
                phase=story.phase,
                decided_at_ms=story.decided_at_ms,
                vms=story.vms,
                reserved_micro_usd=story.reserved_micro_usd,
                settled_micro_usd=story.settled_micro_usd,
                life=life,
            )
    unique = {msgspec.msgpack.encode(decision): decision for decision in about}
    seen = tuple(Happened(at_ms=one.at_ms, what=one.what) for one in pod_events(ledger, key))
    if not unique and not seen and not told:
        return None
    decisions = sorted(unique.values(), key=lambda decision: decision.at_ms)[-SUBJECT_DECISIONS_MAX:]
    return SubjectAnswer(about=key, seen=seen, decisions=tuple(decisions), bursts=tuple(told.values()))


def why_answer(
    ledger: Ledger, name: str, *, live: Iterable[str] = (), policies: Iterable[str] = (), where: str = "here"
) -> WhyAnswer:
    """Return what is known of NAME or NAMESPACE/NAME, but for what only a state can tell.

    ``live``: what is there beside what the ledger knows, ``policies`` among it. Raises NotFoundError, AmbiguousError.
    """
    key = name
    known = frozenset(live)
    if name not in known and not is_known(ledger, name):
        key = resolve(name, (*known, *subjects_of(ledger)), where=where)
    is_policy = key in frozenset(policies) or bool(ledger.decisions(policy=key, limit=1))
    policy = policy_answer(ledger, key) if is_policy else None
    subject = subject_answer(ledger, key)
    if policy is not None and subject is not None and not subject.bursts and not subject.seen:
        # what is said of a policy as such (its warnings, its breaker) is among its own decisions
        subject = None
    if policy is None and subject is None:
        subject = SubjectAnswer(about=key)
    return WhyAnswer(policy=policy, subject=subject)


def policy_answer(ledger: Ledger, key: str) -> PolicyAnswer:
    """Return what a policy has decided and what that has cost, to the micro-USD of the ledger; the chain is the state's to tell."""
    decisions = ledger.decisions(policy=key, limit=HISTORY_MAX)
    counts = Counter((one.verdict, one.reasons[0].code if one.reasons else "") for one in decisions)
    return PolicyAnswer(
        about=key,
        verdicts=tuple(
            VerdictCount(verdict=verdict, code=code, count=count)
            for (verdict, code), count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        ),
        bursts=len({one.burst for one in decisions if one.verdict == "Burst"}),
        settled_micro_usd=sum(spend.micro_usd for spend in ledger.spend() if spend.policy == key),
        decisions=decisions[-POLICY_DECISIONS_MAX:],
    )


def history_answer(ledger: Ledger, query: HistoryQuery, *, live_policies: Iterable[str] = ()) -> HistoryAnswer:
    """Return decisions. Raises NotFoundError for a policy that has decided nothing and is not there either."""
    key = None
    if query.policy:
        known = ledger.decisions(policy=query.policy, limit=1)
        names = (*ledger.policies(), *live_policies)
        key = query.policy if known else resolve(query.policy, names, what="was decided by policy", where="here")
    total = ledger.counts()["decisions"]
    if not query.namespace:
        return HistoryAnswer(
            decisions=ledger.decisions(policy=key, since=query.since_ms, limit=query.limit), total=total
        )
    # the ledger has no index of namespaces: among the latest
    within = f"{query.namespace}/"
    found = [
        one
        for one in ledger.decisions(policy=key, since=query.since_ms, limit=HISTORY_MAX)
        if any(name.startswith(within) for name in (one.policy, one.subject, one.burst))
    ]
    return HistoryAnswer(decisions=tuple(found[-query.limit :]), total=total)


def settled_once(*parts: Iterable[Spend]) -> tuple[Spend, ...]:
    """Return every settled burst once, with the largest amount said of it: as ``Ledger.spend`` does, over more than the ledger."""
    found: dict[str, Spend] = {}
    for part in parts:
        for spend in part:
            key = f"uid {spend.uid}" if spend.uid else f"burst {spend.burst}"
            known = found.get(key)
            if known is None or spend.micro_usd > known.micro_usd:
                found[key] = spend
    return tuple(found.values())


def open_money(state: State) -> list[OpenMoney]:
    """Return all money that is set aside and not settled: of bursts, and of replicas of scaled workloads.

    The reserved amounts add up to what the cluster's account has outstanding.
    """
    found: list[OpenMoney] = []
    for key, entry in state.bursts.items():
        if entry.burst.status.phase not in ACTIVE and not entry.held_micro_usd:
            continue
        policy, _, target = entry.counts_in or (entry.burst.policy_key, "", entry.burst.spec.target)
        found.append(
            OpenMoney(
                burst=key,
                policy=policy,
                target=target,
                reserved_micro_usd=entry.held_micro_usd,
                running_micro_usd=real_cost_micro_usd(state, entry),
            )
        )
    for book in state.scale_books.values():
        workload = f"{book.policy.partition('/')[0]}/{book.workload.name}"
        for lease in book.leases:
            ran_ms = max(0, state.now_ms - lease.since_ms)
            found.append(
                OpenMoney(
                    burst=workload,
                    policy=book.policy,
                    target=book.target,
                    reserved_micro_usd=lease.held_micro_usd,
                    running_micro_usd=cost_micro_usd(book.price_micro_usd_per_hour, ran_ms),
                )
            )
    return found


def zones_of(state: State) -> Callable[[str], str]:
    """Return a look-up of the zone of a policy's budget; of a policy that is gone it is UTC."""
    zones = {key: entry.policy.limits.budget.timezone for key, entry in state.policies.items()}
    return lambda policy: zones.get(policy, "UTC")
