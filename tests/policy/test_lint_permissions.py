"""Where a finding of the lint stands, and how somebody who has thought about it says so: on the line, above it, or for the object."""

import pytest

from burster.policy.compile import compile_documents
from burster.policy.lint import lint
from burster.policy.lint.base import Known
from burster.policy.load import load_text
from tests.policy.compiled import AT_MS


POLICY = """\
apiVersion: burster.dev/v1alpha1
kind: BurstPolicy
metadata: {name: web, namespace: bank}
spec:
  workload: {kind: Deployment}
  limits:
    maxBursts: 0
    budget: {perDay: "5"}
  placement:
    strategy: Clone
    targets: [east, west]
"""


def findings(text):
    documents = load_text(text, "web.yaml")
    return lint(documents, compile_documents(documents), Known(at_ms=AT_MS), {"web.yaml": text})


def test_a_finding_has_its_place_and_is_told_in_one_line():
    (found,) = findings(POLICY)
    assert (found.rule, found.object) == ("nothing-allowed", "BurstPolicy bank/web")
    assert str(found) == (
        "web.yaml:7:16: spec.limits.maxBursts: 0 allows nothing, so this policy never starts anything: raise it; to"
        " switch a policy off use the annotation burster.dev/paused, which says so in its status [nothing-allowed]"
    )


@pytest.mark.parametrize(
    "text",
    [
        POLICY.replace("maxBursts: 0", "maxBursts: 0  # burster: allow nothing-allowed"),
        POLICY.replace("maxBursts: 0", "maxBursts: 0 # on purpose # burster: allow no-budget,nothing-allowed"),
        POLICY.replace("    maxBursts: 0", "    # burster: allow nothing-allowed\n    maxBursts: 0"),
        POLICY.replace("namespace: bank", "namespace: bank, annotations: {burster.dev/lint-allow: nothing-allowed}"),
        POLICY.replace(
            "namespace: bank", 'namespace: bank, annotations: {burster.dev/lint-allow: "no-budget , nothing-allowed"}'
        ),
    ],
)
def test_who_has_thought_about_it_is_not_told_again(text):
    assert findings(text) == ()


def test_what_begins_below_its_key_is_told_at_the_key_and_silenced_at_either():
    text = POLICY.replace('    budget: {perDay: "5"}\n', "").replace("maxBursts: 0", "maxBursts: 1")
    (found,) = findings(text)
    assert (found.rule, found.line, found.column) == ("no-budget", 6, 3)
    assert findings(text.replace("  limits:", "  limits: # burster: allow no-budget")) == ()
    assert findings(text.replace("maxBursts: 1", "maxBursts: 1 # burster: allow no-budget")) == ()


@pytest.mark.parametrize(
    "text",
    [
        POLICY.replace("  limits:", "  limits: # burster: allow nothing-allowed"),
        POLICY.replace("maxBursts: 0", "maxBursts: 0  # burster: allow no-budget"),
        POLICY.replace("    budget", "    # burster: allow nothing-allowed\n    budget"),
    ],
)
def test_a_permission_holds_for_its_line_and_rule_only(text):
    assert [found.rule for found in findings(text)] == ["nothing-allowed"]


def test_a_permission_for_no_rule_is_told():
    by_comment = findings(POLICY.replace("maxBursts: 0", "maxBursts: 0  # burster: allow nothing-alowed"))
    assert [(found.rule, found.line) for found in by_comment] == [("unknown-rule", 7), ("nothing-allowed", 7)]
    assert by_comment[0].message == "'nothing-alowed' is no rule; did you mean nothing-allowed?"
    by_annotation = findings(
        POLICY.replace("namespace: bank", "namespace: bank, annotations: {burster.dev/lint-allow: x9}")
    )
    assert [(found.rule, found.line) for found in by_annotation] == [("unknown-rule", 3), ("nothing-allowed", 7)]
    assert by_annotation[0].path == 'metadata.annotations["burster.dev/lint-allow"]'


@pytest.mark.parametrize(
    "above",
    [
        "# burster: allow nothing-allowed\n    # burster: allow no-budget",
        "# burster: allow no-budget\n    # burster: allow nothing-allowed",
        "# burster: allow nothing-allowed\n    # we mean it\n    # burster: allow no-budget",
        "# burster: allow nothing-allowed\n    # because of the audit",
    ],
)
def test_all_comments_of_a_block_above_a_line_speak_for_it(above):
    assert findings(POLICY.replace("    maxBursts: 0", f"    {above}\n    maxBursts: 0")) == ()


def test_a_block_of_comments_speaks_for_the_next_line_only():
    text = POLICY.replace("  limits:", "  # burster: allow nothing-allowed\n  # burster: allow no-budget\n  limits:")
    assert [found.rule for found in findings(text)] == ["nothing-allowed"]


def test_a_blank_line_ends_a_block():
    above = "    # burster: allow nothing-allowed\n\n    # burster: allow no-budget\n"
    text = POLICY.replace("    maxBursts: 0", above + "    maxBursts: 0")
    assert [found.rule for found in findings(text)] == ["nothing-allowed"]


def test_an_unknown_rule_in_a_block_is_told_once_at_its_own_line():
    above = "    # burster: allow nothing-allowed\n    # burster: allow x9\n"
    (found,) = findings(POLICY.replace("    maxBursts: 0", above + "    maxBursts: 0"))
    assert (found.rule, found.line) == ("unknown-rule", 8)
