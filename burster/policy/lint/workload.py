"""Lint of names and patterns: kinds that are misspelt, globs that are none, selectors that no pod can satisfy."""

import difflib
import re
from collections.abc import Iterator
from typing import Final

from burster.model.policies import Policy
from burster.model.triggers import PrometheusTrigger, ResourceTrigger
from burster.policy.compile.ambiguity import overlap, starts
from burster.policy.lint.base import SPEC, Hit, Known, PolicyRule, trigger_path
from burster.policy.lint.promql import patterns_of
from burster.policy.yaml_nodes import Path


_WORKLOAD: Final = (*SPEC, "workload")
_KINDS: Final = (
    "Deployment",
    "ReplicaSet",
    "StatefulSet",
    "DaemonSet",
    "Job",
    "Pod",
    "ReplicationController",
    "CronJob",
)
#: as near as a plural or two letters in the wrong order; other people's kinds (JobSet, CloneSet) are further away
_SLIP: Final = 0.8
#: what of a pattern is no plain character: an escape, a class
_NOT_PLAIN: Final = r"\\.|\[\^?\]?[^\]]*\]"
_GLOB: Final = re.compile(rf"({_NOT_PLAIN})|([A-Za-z0-9-])\*", re.DOTALL)
#: the beginning of a name, and a whole name
_BEGINNING: Final = re.compile(r"([a-z0-9]([-a-z0-9.]*))?")
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


def _kinds(policy: Policy) -> Iterator[tuple[Path, str]]:
    selector, scaled = policy.workload, policy.scaling.target
    if selector.kind:
        yield (*_WORKLOAD, *(("ownerRef",) if selector.name else ()), "kind"), selector.kind
    if scaled is not None:
        yield (*SPEC, "scaleTargetRef", "kind"), scaled.kind
    for index, trigger in enumerate(policy.triggers):
        if isinstance(trigger, ResourceTrigger):
            yield trigger_path(index, "sourceRef", "kind"), trigger.source.kind


def _unknown_kind(policy: Policy, _known: Known) -> Iterator[Hit]:
    for path, kind in _kinds(policy):
        close = difflib.get_close_matches(kind, _KINDS, n=1, cutoff=_SLIP)
        if close and kind not in _KINDS:
            yield Hit(path, f"no kind is known that is called {kind}; did you mean {close[0]}?", "correct it")
        elif kind == "CronJob" and path[: len(_WORKLOAD)] == _WORKLOAD:
            yield Hit(
                path,
                "a CronJob owns Jobs and no pods: no pod is ever of kind CronJob",
                "write kind: Job, and namePattern: NAME-.*",
            )


def _patterns(policy: Policy) -> Iterator[tuple[Path, str]]:
    selector = policy.workload
    for field, pattern in (("namePattern", selector.name_pattern), ("podNamePattern", selector.pod_name_pattern)):
        if pattern:
            yield (*_WORKLOAD, field), pattern


def _glob(policy: Policy, _known: Known) -> Iterator[Hit]:
    queries = (
        (trigger_path(index, "metadata", "query"), pattern)
        for index, trigger in enumerate(policy.triggers)
        if isinstance(trigger, PrometheusTrigger)
        for pattern in patterns_of(trigger.query)
    )
    for path, pattern in (*_patterns(policy), *queries):
        meant = _GLOB.sub(lambda found: found[1] or f"{found[2]}.*", pattern)
        if meant != pattern:
            yield Hit(
                path,
                f"{pattern} is a regular expression here, in which * repeats the character before it; did you mean {meant}?",
                "write .* for anything",
            )


def _selects_nothing(policy: Policy, _known: Known) -> Iterator[Hit]:
    for path, pattern in _patterns(policy):
        if not any((_NAME if whole else _BEGINNING).fullmatch(text) for text, whole in starts(pattern)):
            yield Hit(
                path,
                f"no name matches {pattern}: names are lower-case letters, digits, '-' and '.', alphanumeric at both ends",
                "write the pattern in lower case",
            )
            return
    # a selector that does not even overlap with itself contradicts itself
    if not overlap(policy.workload, policy.workload):
        yield Hit(
            _WORKLOAD,
            "no pod has labels that satisfy all of this: the policy is about nothing",
            "remove one of the conditions that exclude each other",
        )


RULES: Final = (
    PolicyRule("unknown-kind", "a kind that is misspelt, or owns no pods", _unknown_kind),
    PolicyRule("glob-pattern", "a glob where a regular expression is wanted", _glob),
    PolicyRule("selects-nothing", "a pattern or labels that no pod can have", _selects_nothing),
)
