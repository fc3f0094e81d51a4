"""Which policy answers for a pod, found without asking every policy: each is filed under what it names most exactly.

Made by ``demand`` for one namespace, in the order in which its policies are asked, and thrown away when a policy comes, changes or goes.
The last word is always the selector's own; the files only leave out policies that could not match.
"""

from collections.abc import Iterable
from typing import Final

from burster.model.pods import Pod
from burster.model.policies import Policy


#: How many kinds of pods an answer is remembered for.
_REMEMBERED_MAX: Final = 4_096
_Filed = tuple[int, str, Policy]  #: place in the order, key, rules


class Matcher:
    """The policies of one namespace."""

    __slots__ = ("_answers", "_by_kind", "_by_label", "_by_name", "_labels", "_others", "_rememberable", "ties")

    def __init__(self, policies: Iterable[tuple[str, Policy]]) -> None:
        self._by_name: dict[str, list[_Filed]] = {}
        self._by_label: dict[tuple[str, str], list[_Filed]] = {}
        self._by_kind: dict[str, list[_Filed]] = {}
        self._others: list[_Filed] = []
        self._answers: dict[tuple[object, ...], str] = {}
        self._rememberable = True
        #: (who took a pod, who could have taken it with the same right), as far as it was found since somebody has taken these out
        self.ties: dict[tuple[str, str], None] = {}
        labels: set[str] = set()
        for place, (key, policy) in enumerate(policies):
            selector = policy.workload
            self._file_for(policy).append((place, key, policy))
            self._rememberable = self._rememberable and not selector.pod_name_pattern
            labels.update(selector.match_labels)
            labels.update(rule.key for rule in selector.match_expressions)
        self._labels = tuple(sorted(labels))  #: all that any policy looks at

    def _file_for(self, policy: Policy) -> list[_Filed]:
        selector = policy.workload
        if selector.name:
            return self._by_name.setdefault(selector.name, [])
        if selector.match_labels:
            return self._by_label.setdefault(min(selector.match_labels.items()), [])
        if selector.kind:
            return self._by_kind.setdefault(selector.kind, [])
        return self._others

    def find(self, pod: Pod) -> str:
        """Return the key of the first policy that matches, or ""."""
        if not self._rememberable:
            return self._search(pod)
        workload, labels = pod.workload, pod.labels
        likeness = (
            (pod.name,) if workload is None else (workload.kind, workload.name, workload.api_version),
            *map(labels.get, self._labels),
        )
        known = self._answers.get(likeness)
        if known is None:
            if len(self._answers) >= _REMEMBERED_MAX:
                self._answers.clear()
            known = self._answers[likeness] = self._search(pod)
        return known

    def _search(self, pod: Pod) -> str:
        workload = pod.workload
        candidates = [
            *self._others,
            *self._by_name.get(pod.name if workload is None else workload.name, ()),
            *self._by_kind.get("Pod" if workload is None else workload.kind, ()),
        ]
        if self._by_label:
            for label in pod.labels.items():
                candidates += self._by_label.get(label, ())
        candidates.sort(key=_place)
        matching = (filed for filed in candidates if filed[2].workload.matches(pod))
        first = next(matching, None)
        if first is None:
            return ""
        for _, key, policy in matching:
            if not _equal(first[2], policy):
                break
            if first[2].pending is not None and policy.pending is not None:
                self.ties[first[1], key] = None
        return first[1]


def _equal(one: Policy, other: Policy) -> bool:
    return (one.priority, one.workload.specificity) == (other.priority, other.workload.specificity)


def _place(filed: _Filed) -> int:
    return filed[0]
