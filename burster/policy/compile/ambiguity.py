"""Where two policies contradict each other: a pod that both could take with equal right, or a workload whose number both would set.

Which of two policies takes a pod is told by priority, then by how exactly they select. Where both are equal, nobody could say which one
takes it, so that is an error unless it is certain that no pod matches both. Called by ``compile``. It never looks at pods: what it can't
rule out counts as possible.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from burster.model.policies import LabelRule, Policy, WorkloadSelector
from burster.policy.errors import Problem
from burster.policy.load import Document


_STARTS_MAX: Final = 64
_SPECIAL: Final = ".[^$*+?{}\\|()"
_REPEATS: Final = "*+?{"

#: the beginning of every name that a pattern matches, and whether it is the whole name
Start = tuple[str, bool]


def ambiguities(documents: Iterable[tuple[Document, Policy]]) -> Iterator[Problem]:
    """Yield a problem for each pair of policies that contradict each other, at the later of the two."""
    before: dict[str, list[tuple[Document, Policy]]] = {}
    for document, policy in documents:
        earlier = before.setdefault(policy.namespace, [])
        for other_document, other in earlier:
            where = f"{other.name} ({other_document.source}:{other_document.line})"
            if _same_workload(policy, other):
                yield document.problem(
                    ("spec", "scaleTargetRef"),
                    f"policy {where} sets the number of the same workload: give each its own, or make one policy of the two",
                )
            elif _equal(policy, other) and overlap(policy.workload, other.workload):
                yield document.problem(
                    ("spec", "priority"),
                    f"policy {where} could take the same pods with the same priority {policy.priority}, and selects them just"
                    " as exactly: give one of the two a higher priority, or select different workloads",
                )
        earlier.append((document, policy))


def _same_workload(one: Policy, other: Policy) -> bool:
    target = one.scaling.target
    numbers = {"Scale", "Signal"}
    both = one.placement.strategy in numbers and other.placement.strategy in numbers
    return both and target is not None and target == other.scaling.target


def _equal(one: Policy, other: Policy) -> bool:
    taking = one.pending is not None and other.pending is not None
    return taking and one.priority == other.priority and one.workload.specificity == other.workload.specificity


def overlap(one: WorkloadSelector, other: WorkloadSelector) -> bool:
    """Say whether a pod could match both selectors; True where that can't be ruled out."""
    return not (
        _differ(one.kind, other.kind)
        or _differ(one.api_version, other.api_version)
        or _names_differ(one, other)
        or _labels_differ(one, other)
    )


def _differ(one: str, other: str) -> bool:
    return bool(one and other) and one != other


def _names_differ(one: WorkloadSelector, other: WorkloadSelector) -> bool:
    workloads = [pattern for selector in (one, other) for pattern in _workload_names(selector)]
    pods = [selector.pod_name_pattern for selector in (one, other) if selector.pod_name_pattern]
    if "Pod" in {one.kind, other.kind}:  # a bare pod is its own workload: all patterns are of one name
        return _none_matches_all([*workloads, *pods])
    return _none_matches_all(workloads) or _none_matches_all(pods)


def _workload_names(selector: WorkloadSelector) -> Iterator[str]:
    if selector.name:
        yield re.escape(selector.name)
    if selector.name_pattern:
        yield selector.name_pattern


def _none_matches_all(patterns: list[str]) -> bool:
    return any(not _meet(pattern, other) for index, pattern in enumerate(patterns) for other in patterns[index + 1 :])


def _meet(one: str, other: str) -> bool:
    return any(_starts_meet(start, one, other_start, other) for start in starts(one) for other_start in starts(other))


def _starts_meet(start: Start, pattern: str, other_start: Start, other: str) -> bool:
    (text, whole), (other_text, other_whole) = start, other_start
    if whole:
        return re.fullmatch(other, text) is not None
    if other_whole:
        return re.fullmatch(pattern, other_text) is not None
    return text.startswith(other_text) or other_text.startswith(text)


@lru_cache(maxsize=1024)
def starts(pattern: str) -> tuple[Start, ...]:
    """Return the beginnings of all names that a pattern can match, as far as they are written out; ``("", False)`` is any name."""
    found: list[Start] = []
    for branch in _branches(pattern):
        found += _starts_of(branch)
        if len(found) > _STARTS_MAX:
            return (("", False),)
    return tuple(found)


def _branches(pattern: str) -> list[str]:
    """Return the alternatives of a pattern, those within groups left as they are."""
    parts, depth, begin, position = list[str](), 0, 0, 0
    while position < len(pattern):
        char = pattern[position]
        if char == "\\":
            position += 1
        elif char == "[":
            position = _class_end(pattern, position)
        elif char in "()":
            depth += 1 if char == "(" else -1
        elif char == "|" and not depth:
            parts.append(pattern[begin:position])
            begin = position + 1
        position += 1
    return [*parts, pattern[begin:]]


def _class_end(pattern: str, position: int) -> int:
    """Return where a character class closes; its first character may be a bracket."""
    end = position + (2 if pattern[position + 1] == "^" else 1)
    if pattern[end] == "]":
        end += 1
    while pattern[end] != "]":
        end += 2 if pattern[end] == "\\" else 1
    return end


def _starts_of(branch: str) -> list[Start]:
    texts, position = [""], 0
    done: list[Start] = []
    while position < len(branch) and len(texts) + len(done) <= _STARTS_MAX:
        literal, end, inner = _next(branch, position)
        if (end < len(branch) and branch[end] in _REPEATS) or (literal is None and inner is None):
            break
        if inner is None:
            texts = [text + (literal or "") for text in texts]
        else:
            begun = starts(inner)
            done += [(text + start, False) for text in texts for start, whole in begun if not whole]
            texts = [text + start for text in texts for start, whole in begun if whole]
        position = end
    whole = position == len(branch)
    return [*done, *((text, whole) for text in texts)]


def _next(branch: str, position: int) -> tuple[str | None, int, str | None]:
    """Return the literal at a position, or the inside of the group there, and where it ends; neither where it is anything else."""
    char = branch[position]
    if char == "\\" and not branch[position + 1].isalnum():
        return branch[position + 1], position + 2, None
    if char == "(":
        end, depth = position, 0
        while True:
            if branch[end] == "\\":
                end += 1
            elif branch[end] == "[":
                end = _class_end(branch, end)
            elif branch[end] in "()":
                depth += 1 if branch[end] == "(" else -1
                if not depth:
                    break
            end += 1
        return None, end + 1, branch[position + 1 : end].removeprefix("?:")
    return (None if char in _SPECIAL else char), position + 1, None


# --- labels ---------------------------------------------------------------------------------------------------------------


def _labels_differ(one: WorkloadSelector, other: WorkloadSelector) -> bool:
    rules = [*_rules(one), *_rules(other)]
    return any(_impossible([rule for rule in rules if rule.key == key]) for key in {rule.key: None for rule in rules})


def _rules(selector: WorkloadSelector) -> Iterator[LabelRule]:
    for key, value in selector.match_labels.items():
        yield LabelRule(key=key, operator="In", values=(value,))
    yield from selector.match_expressions


def _impossible(rules: list[LabelRule]) -> bool:
    """Say whether no value of one label, nor its absence, satisfies all rules about it."""
    listed = [value for rule in rules for value in rule.values]
    new = next(text for text in (f"v{number}" for number in range(len(listed) + 1)) if text not in listed)
    key = rules[0].key
    trials: list[dict[str, str]] = [{}, {key: new}, *({key: value} for value in listed)]
    return not any(all(rule.holds(labels) for rule in rules) for labels in trials)
