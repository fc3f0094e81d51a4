"""What is wrong inside a text is told at its very place in the file, however the text is written."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burster.policy.compile import compile_documents
from burster.policy.errors import PolicyErrors, Problem
from burster.policy.fields.scalars import place_inside
from burster.policy.load import load_text
from burster.policy.yaml_nodes import parse_yaml


HEAD = """\
apiVersion: burster.dev/v1alpha1
kind: BurstPolicy
metadata: {name: p}
spec:
  workload: {kind: Deployment}
  placement: {strategy: Signal, targets: [azure]}
"""

#: how a condition is written, and where its wrong word stands: line (from 1, of what is written) and column
WRITTEN = {
    "plain": ("  when: pending.count > 3 && budget.nothing < 2\n", 1, 30),
    "in double quotes": ('  when: "pending.count > 3 && budget.nothing < 2"\n', 1, 31),
    "in single quotes": ("  when: 'pending.count > 3 && budget.nothing < 2'\n", 1, 31),
    "with a quote in single quotes": ("  when: '''a'' == ''b'' && budget.nothing < 2'\n", 1, 28),
    "with escapes in double quotes": ('  when: "\\"a\\" == \\x22b\\x22 \\t && budget.nothing < 2"\n', 1, 35),
    "literal": ("  when: |\n    pending.count > 3 &&\n      budget.nothing < 2\n", 3, 7),
    "literal with a comment": ("  when: |-  # why\n    pending.count > 3 &&\n    budget.nothing < 2\n", 3, 5),
    "folded": ("  when: >-\n    pending.count > 3 &&\n    budget.nothing < 2\n", 3, 5),
    "folded with an empty line": ("  when: >\n    pending.count > 3 &&\n\n    budget.nothing < 2\n", 4, 5),
    "plain over two lines": ("  when: pending.count > 3 &&\n    budget.nothing < 2\n", 2, 5),
    "quoted over two lines": ('  when: "pending.count > 3 &&\n     budget.nothing < 2"\n', 2, 6),
    "with a joined line": ('  when: "pending.count > 3 && \\\n     budget.nothing < 2"\n', 2, 6),
    "on the next line": ("  when:\n    pending.count > 3 && budget.nothing < 2\n", 2, 26),
    "with an anchor": ("  when: &w pending.count > 3 && budget.nothing < 2\n", 1, 33),
    "with a tag": ("  when: !!str pending.count > 3 && budget.nothing < 2\n", 1, 36),
    "with an anchor and a tag": ("  when: &w !!str |\n    pending.count > 3 &&\n    budget.nothing < 2\n", 3, 5),
    "in wide letters": ("  when: \"'ä€𝄞' == 'a' && budget.nothing < 2\"\n", 1, 26),
}


def the_problem(text):
    with pytest.raises(PolicyErrors) as caught:
        compile_documents(load_text(text, "rules.yaml"))
    (problem,) = caught.value.problems
    return problem


@pytest.mark.parametrize(("written", "line", "column"), WRITTEN.values(), ids=WRITTEN)
def test_a_condition_is_told_at_the_wrong_word(written, line, column):
    problem = the_problem(HEAD + written)
    assert (problem.path, problem.line, problem.column) == ("spec.when", 6 + line, column)
    assert problem.message.startswith("budget has no nothing")
    shown, caret = problem.excerpt.split("\n")
    assert shown[caret.index("^") :].startswith("budget.nothing")


def test_the_excerpt_follows_the_sentence():
    problem = the_problem(HEAD + "  when: pending.count >\n")
    assert problem.column == 24
    first, *excerpt = str(problem).split("\n")
    assert first.startswith("rules.yaml:7:24: spec.when: ")
    assert excerpt == ["    pending.count >", "                   ^"]
    told = str(PolicyErrors([problem, Problem(source="x", message="y")]))
    assert told.split("\n") == ["2 problems:", f"  {first}", *(f"  {line}" for line in excerpt), "  x: y"]


def test_a_formula_is_told_at_the_wrong_word():
    trigger = "  triggers: [{type: external, name: q, metadata: {targetValue: 1}}]\n"
    problem = the_problem(HEAD + trigger + "  advanced: {scalingModifiers: {formula: 'q + nothing', target: 1}}\n")
    assert (problem.path, problem.line, problem.column) == ("spec.advanced.scalingModifiers.formula", 8, 47)
    assert "nothing" in problem.message
    assert problem.excerpt == "q + nothing\n    ^"


def test_a_condition_may_name_the_triggers_and_no_others():
    trigger = "  triggers: [{type: external, name: lag, metadata: {targetValue: 1}}]\n"
    assert load_text(HEAD + trigger + "  when: metrics.lag > 3.0\n")
    problem = the_problem(HEAD + trigger + "  when: metrics.leg > 3.0\n")
    assert (problem.line, problem.column) == (8, 9)
    assert "did you mean lag?" in problem.message


def test_two_faults_of_one_condition_are_two_problems():
    with pytest.raises(PolicyErrors) as caught:
        load_text(HEAD + "  when: budget.nothing < 2 && pending.none > 3\n", "rules.yaml")
    assert [problem.column for problem in caught.value.problems] == [9, 31]


def test_an_object_of_the_api_has_an_excerpt_and_no_lines():
    from burster.policy.compile import compile_policy

    (document,) = load_text(HEAD + "  priority: 1\n")
    obj = {**document.object, "spec": {**document.object["spec"], "when": "pending.nothing > 2"}}
    with pytest.raises(PolicyErrors) as caught:
        compile_policy(obj)
    (problem,) = caught.value.problems
    assert (problem.line, problem.column, problem.path) == (0, 0, "spec.when")
    assert problem.excerpt.startswith("pending.nothing > 2\n")


@pytest.mark.parametrize(
    ("text", "value", "start", "place"),
    [
        ("a: b", "b", (1, 4), (0, 1)),
        ("a: b", "b", (1, 4), (2, 1)),
        ("a: b", "b", (9, 4), (1, 1)),
        ("", "b", (1, 1), (1, 1)),
    ],
)
def test_a_place_that_isnt_there_is_none(text, value, start, place):
    assert place_inside(text, value, start, place) is None


words = st.lists(st.text("abc'\"é0", min_size=1, max_size=4), min_size=1, max_size=6)


@settings(max_examples=300, deadline=None)
@given(words, st.data())
def test_any_word_of_any_text_is_found_again(parts, data):
    number = data.draw(st.integers(0, len(parts) - 1))
    value = " ".join(parts)
    column = len(" ".join([*parts[:number], ""])) + 1
    escaped = value.replace('"', '\\"')
    doubled = value.replace("'", "''")
    block = "|\n    " + "\n    ".join(parts)
    for text in (f'k: "{escaped}"\n', f"k: '{doubled}'\n"):
        (document,) = parse_yaml(text)
        assert document.value["k"] == value
        mark = document.inside(("k",), 1, column)
        assert text.split("\n")[mark.line - 1][mark.column - 1 :].startswith(
            parts[number].replace('"', '\\"') if text[3] == '"' else parts[number].replace("'", "''")
        )
    (document,) = parse_yaml(f"k: {block}\n")
    assert document.inside(("k",), number + 1, 1) == document.inside(("k",), number + 1, 1)
    mark = document.inside(("k",), number + 1, 1)
    assert (mark.line, mark.column) == (number + 2, 5)


def test_what_is_no_text_has_its_own_place():
    (document,) = parse_yaml("a: [1]\nb: 2\n")
    assert document.inside(("a",), 1, 1) == document.values[("a",)]
    assert document.inside(("nowhere",), 1, 1) == document.mark
