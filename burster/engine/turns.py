"""Who is served first when several policies want what is left, and who comes next.

Asked by ``step`` and ``queues`` in each step. Policies of a higher priority come first. Among equals it is the turn of the namespace that
has used the smallest share of what it may spend: what its policies have spent in the last month (32 days and the present one) and have
reserved, against the budgets that targets give the namespace; where none gives any, money itself is compared. Of a namespace's policies
the one that has used least comes first, and the last ties go by name. A burst that is granted makes its namespace's share larger, so the
next one is another namespace's turn: the last money is not all for the first in the alphabet, and over several windows it evens out.

Ranks by numbers alone: the same state gives the same order. Changes nothing.
"""

import heapq
from collections import Counter
from collections.abc import Iterable
from typing import Final

from burster.engine.accounting.money import limits_of
from burster.engine.state import PolicyEntry, State
from burster.model.policies import Policy


_Rank = tuple[int, int, int, str]  #: (-priority, the namespace's share, what the policy has used, its key)
_PER_MONTH: Final = {"hour": 730, "day": 30, "month": 1}
_SHARE_SCALE: Final = 1_000_000


def fair_order(state: State) -> list[str]:
    """Return the keys of all policies in the order in which they are served."""
    turns = Turns(state, state.policies)
    return sorted(state.policies, key=turns.rank)


class _Line:
    """Policies that are equal but for what they have used themselves: those of one priority and namespace."""

    __slots__ = ("namespace", "priority", "waiting")

    def __init__(self, policy: Policy) -> None:
        self.priority, self.namespace = policy.priority, policy.namespace
        self.waiting: list[tuple[int, str]] = []  #: what each has used and its key; a heap


_Stand = tuple[int, int, int, str, _Line]  #: the rank of a line's first, and the line


class Turns:
    """The turns of one step: ``next`` says whose it is, ``again`` lets it have another one later.

    Lines of policies are compared by their first, so that one grant moves one line, however many policies a namespace has.
    """

    def __init__(self, state: State, keys: Iterable[str]) -> None:
        self._policies = state.policies
        self._used: dict[str, int] = {}  #: of each policy, as it is counted in its namespace
        self._spent: dict[str, int] = {}  #: of each namespace
        for key, entry in state.policies.items():
            used = self._used[key] = _used_micro_usd(entry)
            namespace = entry.policy.namespace
            self._spent[namespace] = self._spent.get(namespace, 0) + used
        self._allowed = _allowed_micro_usd(state)
        self._most = max(self._allowed.values(), default=0)
        self._lines: dict[str, _Line] = {}  #: in which each policy stands
        lines = self._line_up(keys)
        several = Counter(line.namespace for line in lines)
        #: namespaces with lines of several priorities: what one line gets moves the others too
        self._several = frozenset(namespace for namespace, count in several.items() if count > 1)
        self._served: _Line | None = None  #: the line whose first is being served: it is in no order now
        self._heap = [self._stand(line) for line in lines]
        heapq.heapify(self._heap)

    def _line_up(self, keys: Iterable[str]) -> list[_Line]:
        lines: dict[tuple[int, str], _Line] = {}
        for key in keys:
            policy = self._policies[key].policy
            line = self._lines[key] = lines.setdefault((policy.priority, policy.namespace), _Line(policy))
            line.waiting.append((self._used[key], key))
        for line in lines.values():
            heapq.heapify(line.waiting)
        return list(lines.values())

    def rank(self, key: str) -> _Rank:
        """Return where a policy stands now: the smallest is served first."""
        policy = self._policies[key].policy
        return -policy.priority, self._share(policy.namespace), self._used[key], key

    def _share(self, namespace: str) -> int:
        share = self._spent[namespace]
        if self._allowed:
            share = share * _SHARE_SCALE // max(1, self._allowed.get(namespace) or self._most)
        return share

    def _stand(self, line: _Line) -> _Stand:
        used, key = line.waiting[0]
        return -line.priority, self._share(line.namespace), used, key, line

    def next(self) -> str:
        """Return whose turn it is and take it out; empty where nobody is left."""
        served, self._served = self._served, None
        if served is not None and served.waiting:
            stood = heapq.heappushpop(self._heap, self._stand(served))
        elif self._heap:
            stood = heapq.heappop(self._heap)
        else:
            return ""
        line = stood[4]
        while line.namespace in self._several and (stands := self._stand(line)) > stood:
            stood = heapq.heappushpop(self._heap, stands)  # its namespace has got something since
            line = stood[4]
        self._served = line
        return heapq.heappop(line.waiting)[1]

    def again(self, key: str) -> None:
        """Let a policy that was served have another turn, after those that have got less."""
        used = _used_micro_usd(self._policies[key])
        line = self._lines[key]
        self._spent[line.namespace] += used - self._used[key]
        self._used[key] = used
        heapq.heappush(line.waiting, (used, key))


def _used_micro_usd(entry: PolicyEntry) -> int:
    account = entry.scope.account
    return account.recent_micro_usd + account.outstanding_micro_usd


def _allowed_micro_usd(state: State) -> dict[str, int]:
    """Return what the targets together allow each namespace in a month, by the tightest window of each; none where no target does."""
    allowed: dict[str, int] = {}
    for target in state.targets.values():
        for namespace, limits in target.target.namespace_limits.items():
            months = [limit * _PER_MONTH[kind] for kind, limit in limits_of(limits.budget)]
            if months:
                allowed[namespace] = allowed.get(namespace, 0) + min(months)
    return allowed
