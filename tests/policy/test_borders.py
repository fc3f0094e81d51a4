"""Both sides of the borders of what people write and are told: places, lengths, and what is said beside one problem."""

import msgspec
import pytest

from burster.policy.compile import compile_documents
from burster.policy.convert import convert_text
from burster.policy.diff import compare, shown
from burster.policy.errors import PolicyErrors, Problem
from burster.policy.fields.texts import SelectorText
from burster.policy.lint import _allowed_lines
from burster.policy.lint.promql import Matcher, Selector, selectors_of
from burster.policy.load import load_files, load_text


POLICY = """\
apiVersion: burster.dev/v1alpha1
kind: BurstPolicy
metadata: {name: p, namespace: bank}
spec:
  workload: {kind: Deployment}
  placement: {strategy: Signal, targets: [azure]}
"""


def problems_of(text):
    with pytest.raises(PolicyErrors) as caught:
        load_text(text, source="p.yaml")
    return [(problem.line, problem.column, problem.path) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [("a: [1\nb: 2\n", 2, 2), ("a: b: c\n", 1, 5), ("a: 1\nb:  *nowhere\n", 2, 5), ("\ta: 1\n", 1, 1)],
)
def test_what_is_no_yaml_is_told_to_the_column(text, line, column):
    assert problems_of(text) == [(line, column, "")]


def test_a_condition_that_is_wrong_is_told_beside_other_wrong_fields():
    found = problems_of(POLICY + "  priority: high\n  when: pending.cont > 3\n")
    assert [path for _, _, path in found] == ["spec.priority", "spec.when"]


@pytest.mark.parametrize(("length", "fits"), [(63, True), (64, False)])
def test_how_long_a_triggers_name_may_be(length, fits):
    text = f"{POLICY}  triggers: [{{type: external, name: {'n' * length}, metadata: {{targetValue: 1}}}}]\n"
    if fits:
        load_text(text)
    else:
        assert [path for _, _, path in problems_of(text)] == ["spec.triggers[0].name"]


@pytest.mark.parametrize(("number", "last"), [(100, "p.yaml:1:1: no 99"), (101, "and 1 more")])
def test_a_hundred_problems_are_told_and_the_rest_is_counted(number, last):
    problems = [Problem(source="p.yaml", line=1, column=1, message=f"no {n}") for n in range(number)]
    lines = str(PolicyErrors(problems)).splitlines()
    assert (lines[0], len(lines), lines[-1].strip()) == (
        f"{number} problems:",
        2 + min(number, 100) - (number == 100),
        last,
    )


def test_a_note_is_a_line_with_its_place():
    text = (
        "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: so}\nspec:\n  scaleTargetRef: {name: cloud}\n"
        "  pollingInterval: 10\n  triggers: [{type: kafka, metadata: {topic: t}}]\n"
    )
    (found,) = convert_text(text, "so.yaml", target="azure").objects
    note = found.notes[-1]
    assert str(note) == f"so.yaml:{note.line}:{note.column}: {note.path}: {note.message}"


@pytest.mark.parametrize(
    ("path", "value", "want"),
    [
        ("triggers.q.threshold_milli", 1_500, "1.5"),
        ("discount_milli_percent", 12_500, "12.5 %"),
        ("limits.budget.warn_percent", 80, "80 %"),
        ("limits.provider_shares.azure", 60, "60 %"),
        ("placement.lease_ms", 60_000, "1m"),
        ("limits.budget.per_day_micro_usd", 2_000_000, "$2.0000"),
        ("limits.max_bursts", 4, "4"),
        ("limits.max_bursts", None, "none"),
        ("placement.sizes", (), "none"),
        ("placement.sizes", ("A", "B"), "A, B"),
        ("when", "", "none"),
        ("paused", True, "yes"),
        ("paused", False, "no"),
    ],
)
def test_values_are_shown_in_their_units(path, value, want):
    assert shown(path, value) == want


@pytest.mark.parametrize(("size", "fits"), [(1_048_576, True), (1_048_577, False)])
def test_how_large_a_file_may_be(tmp_path, size, fits):
    path = tmp_path / "rules.yaml"
    path.write_text(POLICY + "#" * (size - len(POLICY)))
    if fits:
        assert [document.key for document in load_files([path])] == ["bank/p"]
    else:
        with pytest.raises(PolicyErrors, match="larger than 1 MiB, which no policy is: split it"):
            load_files([path])


@pytest.mark.parametrize("zone", ["localtime", "posixrules", "Factory"])
def test_zones_that_are_another_place_on_every_machine_are_no_zones(zone):
    window = f"{{timezone: {zone}, from: '08:00', to: '20:00'}}"
    assert [path for _, _, path in problems_of(f"{POLICY}  windows: [{window}]\n")] == ["spec.windows[0].timezone"]


def test_a_scaled_job_is_moved_and_what_that_needs_is_said():
    text = (
        "apiVersion: keda.sh/v1alpha1\nkind: ScaledJob\nmetadata: {name: so}\nspec:\n  jobTargetRef: {template: {}}\n"
        "  triggers: [{type: cpu, metadata: {value: 1}}]\n"
    )
    (found,) = convert_text(text, "so.yaml", target="azure").objects
    assumed = {note.path: note.message for note in found.notes if note.kind == "assumed"}
    assert assumed["spec.jobTargetRef"] == "moving the pods of a Job needs burster's webhook in the cluster"


@pytest.mark.parametrize(
    ("before", "after"), [("BuyOrWait", "PendingFor"), ("PendingFor", "AtOnce"), ("BuyOrWait", "AtOnce")]
)
def test_who_waits_less_bursts_more(before, after):
    def compiled(mode):
        found = compile_documents(load_text(POLICY))
        (policy,) = found.policies
        wait = msgspec.structs.replace(policy.wait, mode=mode)
        return msgspec.structs.replace(found, policies=(msgspec.structs.replace(policy, wait=wait),))

    (there,) = compare(compiled(before), compiled(after))
    (back,) = compare(compiled(after), compiled(before))
    assert [(one.area, one.direction) for one in (there, back)] == [("demand", "looser"), ("demand", "tighter")]


@pytest.mark.parametrize(("length", "fits"), [(4_096, True), (4_097, False)])
def test_how_long_a_label_selector_may_be(length, fits):
    text = "a=b,"
    text = text * (length // 4 - 2)
    text += f"a={'b' * (length - len(text) - 2)}"
    assert len(text) == length
    if fits:
        assert SelectorText().checked(text) == text
    else:
        with pytest.raises(ValueError, match="is no label selector"):
            SelectorText().checked(text)


def test_a_comment_beside_a_line_speaks_for_that_line_alone():
    text = "a: 1  # burster: allow one\n# burster: allow two\nb: 2\nc: 3\n"
    assert _allowed_lines(text) == {1: ("one",), 2: ("two",), 3: ("two",)}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("n" * 256 + ".yaml", "can't be read (File name too long): check"),
        ("a\0b.yaml", "can't be read (embedded null byte): check"),
    ],
)
def test_why_a_path_cant_be_read_is_what_the_system_says(tmp_path, name, words):
    with pytest.raises(PolicyErrors) as caught:
        load_files([tmp_path / name])
    (problem,) = caught.value.problems
    assert words in problem.message


@pytest.mark.parametrize(
    ("query", "want"),
    [
        ('kube_pod_info{a="x",b="y"}', (Matcher("a", "=", "x"), Matcher("b", "=", "y"))),
        ('kube_pod_info{a="x",b=}', (Matcher("a", "=", "x"),)),
        ('kube_pod_info{a=,b="y"}', (Matcher("b", "=", "y"),)),
        ("kube_pod_info{a=", ()),
    ],
)
def test_matchers_without_a_value_are_passed_over(query, want):
    assert selectors_of(query) == (Selector("kube_pod_info", want),)
