"""What is legal in a policy or target and likely to be regretted: each with a code, a sentence, a place, and what to do.

``lint`` runs every rule over documents that are valid. A rule is silenced where somebody has thought about it: by the comment
``# burster: allow CODE`` on the line (or in a block of comments right above), or for a whole object by the annotation
``burster.dev/lint-allow: CODE, CODE``. Called by ``burster policy validate``.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from burster.model.policies import Policy
from burster.model.targets import Target
from burster.policy.compile import Compiled
from burster.policy.lint import confidential as lint_confidential
from burster.policy.lint import limits as lint_limits
from burster.policy.lint import machine as lint_machine
from burster.policy.lint import placement as lint_placement
from burster.policy.lint import scaling as lint_scaling
from burster.policy.lint import targets as lint_targets
from burster.policy.lint import timing as lint_timing
from burster.policy.lint import triggers as lint_triggers
from burster.policy.lint import workload as lint_workload
from burster.policy.lint.base import Hit, Known, PolicyRule, TargetRule
from burster.policy.load import Document
from burster.policy.problems import closest, problem_at
from burster.policy.yaml_nodes import Path


ALLOW_ANNOTATION: Final = "burster.dev/lint-allow"
UNKNOWN_RULE: Final = "unknown-rule"
_ALLOW: Final = re.compile(r"#\s*burster:\s*allow\s+([a-z0-9-]+(?:\s*,\s*[a-z0-9-]+)*)")

POLICY_RULES: Final[tuple[PolicyRule, ...]] = (
    *lint_limits.RULES,
    *lint_workload.RULES,
    *lint_timing.RULES,
    *lint_triggers.RULES,
    *lint_scaling.RULES,
    *lint_placement.RULES,
    *lint_confidential.RULES,
    *lint_machine.RULES,
)
TARGET_RULES: Final[tuple[TargetRule, ...]] = lint_targets.RULES


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A hit of a rule, with its place."""

    rule: str
    object: str  #: ``BurstPolicy namespace/name`` or ``BurstTarget name``
    source: str
    line: int
    column: int
    path: str
    message: str
    advice: str

    def __str__(self) -> str:
        """Return ``file:line:column: field: sentence: what to do [rule]``."""
        place = f"{self.source}:{self.line}:{self.column}"
        return f"{place}: {self.path}: {self.message}: {self.advice} [{self.rule}]"


def rules() -> dict[str, str]:
    """Return what every rule is about, by code."""
    named = {rule.code: rule.about for rule in (*POLICY_RULES, *TARGET_RULES)}
    return {**named, UNKNOWN_RULE: "a rule is allowed that there isn't"}


def lint(
    documents: Iterable[Document], compiled: Compiled, known: Known, texts: Mapping[str, str] | None = None
) -> tuple[Finding, ...]:
    """Return what the rules find, in the order of files and lines.

    ``texts`` are the sources' texts, whose comments can silence a rule.
    """
    documents = tuple(documents)
    policies = {policy.key: policy for policy in compiled.policies}
    targets = {target.name: target for target in compiled.targets}
    found: list[Finding] = []
    allowed = {source: _allowed_lines(text) for source, text in (texts or {}).items()}
    for document in documents:
        value = policies[document.key] if document.kind == "BurstPolicy" else targets[document.key]
        silent = _allowed_by_annotation(document)
        lines = allowed.get(document.source, {})
        for code, hit in lint_policy(value, known) if isinstance(value, Policy) else lint_target(value, known):
            if code not in silent and not any(code in lines.get(line, ()) for line in _lines(document, hit.path)):
                found.append(_finding(document, code, hit))
        found += _unknown_codes(document, silent)
    for source, lines in allowed.items():
        found += _unknown_in_comments(source, lines)
    order = {document.source: index for index, document in reversed(list(enumerate(documents)))}
    return tuple(sorted(found, key=lambda one: (order.get(one.source, 0), one.source, one.line, one.column, one.rule)))


def lint_policy(policy: Policy, known: Known) -> Iterator[tuple[str, Hit]]:
    """Yield every hit of the rules about policies, with the rule's code."""
    for rule in POLICY_RULES:
        for hit in rule.check(policy, known):
            yield rule.code, hit


def lint_target(target: Target, known: Known) -> Iterator[tuple[str, Hit]]:
    """Yield every hit of the rules about targets, with the rule's code."""
    for rule in TARGET_RULES:
        for hit in rule.check(target, known):
            yield rule.code, hit


def _lines(document: Document, path: Path) -> tuple[int, ...]:
    """Return the lines at which a field can be said to stand: its key's, and its value's where that begins further down."""
    marks = (document.yaml.keys.get(path), document.yaml.values.get(path))
    return (document.problem(path, "").line, *(mark.line for mark in marks if mark is not None))


def _finding(document: Document, code: str, hit: Hit) -> Finding:
    key, value = document.yaml.keys.get(hit.path), document.yaml.values.get(hit.path)
    block = key is not None and value is not None and value.line > key.line
    # what begins below its key is told at the key, where people look for it
    problem = problem_at(document.source, hit.path, hit.message, document.yaml, key=block)
    return Finding(
        rule=code,
        object=f"{document.kind} {document.key}",
        source=problem.source,
        line=problem.line,
        column=problem.column,
        path=problem.path,
        message=hit.message,
        advice=hit.advice,
    )


def _allowed_by_annotation(document: Document) -> tuple[str, ...]:
    text = document.model.metadata.annotations.get(ALLOW_ANNOTATION, "")
    return tuple(code.strip() for code in text.split(",") if code.strip())


def _unknown_codes(document: Document, codes: Iterable[str]) -> Iterator[Finding]:
    known = rules()
    for code in codes:
        if code not in known:
            yield _finding(document, UNKNOWN_RULE, _unknown(code, ("metadata", "annotations", ALLOW_ANNOTATION)))


def _unknown(code: str, path: tuple[str, ...]) -> Hit:
    hint = closest(code, rules())
    return Hit(path, f"{code!r} is no rule{hint}", "see burster policy rules for those there are")


def _unknown_in_comments(source: str, lines: Mapping[int, tuple[str, ...]]) -> Iterator[Finding]:
    known = rules()
    told: set[str] = set()
    for line, codes in lines.items():
        for code in codes:
            if code not in known and code not in told:
                told.add(code)
                hit = _unknown(code, ())
                yield Finding(
                    rule=UNKNOWN_RULE,
                    object="",
                    source=source,
                    line=line,
                    column=1,
                    path="comment",
                    message=hit.message,
                    advice=hit.advice,
                )


def _allowed_lines(text: str) -> dict[int, tuple[str, ...]]:
    """Return the rules that comments allow, by line; a block of comments on lines of their own speaks for the line right below it too."""
    found: dict[int, tuple[str, ...]] = {}
    block: tuple[str, ...] = ()
    for number, line in enumerate(text.split("\n"), start=1):
        comment = _ALLOW.search(line)
        codes = tuple(code.strip() for code in comment[1].split(",")) if comment else ()
        if line.lstrip().startswith("#"):
            here, block = codes, (*block, *codes)
        else:
            here, block = (*block, *codes), ()
        if here:
            found[number] = here
    return found
