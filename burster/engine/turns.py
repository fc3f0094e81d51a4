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


_Rank = tuple[int, int, int, str]  #: (-priority, the namespace's share, what the policy has used, its key)
_Line = tuple[int, str]  #: (-priority, namespace)
_Stand = tuple[int, int, int, str, _Line]  #: the rank of a line's first, and the line
_PER_MONTH: Final = {"hour": 730, "day": 30, "month": 1}
_SHARE_SCALE: Final = 1_000_000


def fair_order(state: State) -> list[str]:
    """Return the keys of all policies in the order in which they are served."""
    turns = Turns(state, state.policies)
    return sorted(state.policies, key=turns.rank)


class Turns:
    """The turns of one step: ``next`` says whose it is, ``again`` lets it have another one later.

    Policies that are equal but for what they have used themselves (of one priority and namespace) stand in a line of their own, and the
    lines are compared by their first. So one grant moves one line, however many policies a namespace has.
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
        self._lines: dict[_Line, list[tuple[int, str]]] = {}
        for key in keys:
            self._lines.setdefault(self._line_of(key), []).append((self._used[key], key))
        for line in self._lines.values():
            heapq.heapify(line)
        lines = Counter(namespace for _, namespace in self._lines)
        #: namespaces with lines of several priorities: what one line gets moves the others too
        self._several = frozenset(namespace for namespace, count in lines.items() if count > 1)
        self._served: _Line | None = None  #: the line whose first is being served: it is in no order now
        self._heap = [self._stand(line) for line in self._lines]
        heapq.heapify(self._heap)

    def _line_of(self, key: str) -> _Line:
        policy = self._policies[key].policy
        return -policy.priority, policy.namespace

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
        used, key = self._lines[line][0]
        return line[0], self._share(line[1]), used, key, line

    def next(self) -> str:
        """Return whose turn it is and take it out; empty where nobody is left."""
        served, self._served = self._served, None
        if served is not None and self._lines[served]:
            stood = heapq.heappushpop(self._heap, self._stand(served))
        elif self._heap:
            stood = heapq.heappop(self._heap)
        else:
            return ""
        line = stood[4]
        while line[1] in self._several and (stands := self._stand(line)) > stood:
            stood = heapq.heappushpop(self._heap, stands)  # its namespace has got something since
            line = stood[4]
        self._served = line
        return heapq.heappop(self._lines[line])[1]

    def again(self, key: str) -> None:
        """Let a policy that was served have another turn, after those that have got less."""
        entry = self._policies[key]
        used = _used_micro_usd(entry)
        self._spent[entry.policy.namespace] += used - self._used[key]
        self._used[key] = used
        heapq.heappush(self._lines[self._line_of(key)], (used, key))


def _used_micro_usd(entry: PolicyEntry) -> int:
    return entry.account.recent_micro_usd + entry.account.outstanding_micro_usd


def _allowed_micro_usd(state: State) -> dict[str, int]:
    """Return what the targets together allow each namespace in a month, by the tightest window of each; none where no target does."""
    allowed: dict[str, int] = {}
    for target in state.targets.values():
        for namespace, limits in target.target.namespace_limits.items():
            months = [limit * _PER_MONTH[kind] for kind, limit in limits_of(limits.budget)]
            if months:
                allowed[namespace] = allowed.get(namespace, 0) + min(months)
    return allowed
