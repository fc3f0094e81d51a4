"""Lists, as `kubectl get -o yaml` prints them, are read item by item, each with its own place in the text."""

import pytest

from burster.policy.convert import convert_text
from burster.policy.errors import PolicyErrors
from burster.policy.lists import without_lists
from burster.policy.load import load_text
from burster.policy.yaml_nodes import parse_yaml


POLICY = """\
- apiVersion: burster.dev/v1alpha1
  kind: BurstPolicy
  metadata: {{name: {name}, namespace: team, uid: x, resourceVersion: "7", managedFields: []}}
  spec:
    workload: {{kind: Deployment}}
    limits: {{maxBursts: {bursts}}}
    placement: {{strategy: Clone, targets: [east]}}
"""
OTHER = "- {apiVersion: v1, kind: ConfigMap, metadata: {name: settings}}\n"
SCALED = """\
- apiVersion: keda.sh/v1alpha1
  kind: ScaledObject
  metadata: {name: web}
  spec:
    scaleTargetRef: {name: web}
    triggers: [{type: cron, metadata: {timezone: UTC, start: 0 8 * * *, end: 0 9 * * *, desiredReplicas: "2"}}]
"""


def a_list(*items, kind="List", version="v1"):
    return f"apiVersion: {version}\nkind: {kind}\nitems:\n{''.join(items)}"


@pytest.mark.parametrize(("kind", "version"), [("List", "v1"), ("BurstPolicyList", "burster.dev/v1alpha1")])
def test_each_item_is_a_document_and_other_kinds_are_left_out(kind, version):
    text = a_list(
        POLICY.format(name="a", bursts=1), OTHER, POLICY.format(name="b", bursts=2), kind=kind, version=version
    )
    assert [(one.key, one.line) for one in load_text(text)] == [("team/a", 4), ("team/b", 12)]


def test_what_is_wrong_in_an_item_is_told_where_it_stands():
    with pytest.raises(PolicyErrors) as raised:
        load_text(a_list(POLICY.format(name="a", bursts="two"), POLICY.format(name="b", bursts=-1)))
    assert [(one.line, one.column, one.path) for one in raised.value.problems] == [
        (9, 25, "spec.limits.maxBursts"),
        (16, 25, "spec.limits.maxBursts"),
    ]


def test_a_key_given_twice_is_told_inside_an_item_and_beside_the_items():
    item = POLICY.format(name="a", bursts=1)
    inside = a_list(item.replace("    limits:", "    limits: {}\n    limits:"))
    beside = a_list(item) + "kind: List\n"
    for text, path, line in ((inside, "spec.limits", 10), (beside, "kind", 11)):
        with pytest.raises(PolicyErrors) as raised:
            load_text(text)
        (problem,) = raised.value.problems
        assert (problem.path, problem.line) == (path, line)
        assert problem.message.startswith("given twice")


def test_an_item_that_is_nearly_ours_is_no_other_kind():
    with pytest.raises(PolicyErrors, match="did you mean BurstPolicy"):
        load_text(a_list(POLICY.format(name="a", bursts=1).replace("BurstPolicy", "BurstPolcy")))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (a_list(OTHER, OTHER), "a list of 2 other object(s); write a BurstPolicy or a BurstTarget"),
        ("apiVersion: v1\nkind: List\nitems: []\n", "empty: it holds no document"),
        ("apiVersion: v1\nkind: List\nitems: {}\n", "found 'List' of 'v1'"),
        (a_list("- 5\n"), "expected a BurstPolicy or BurstTarget (a mapping)"),
    ],
)
def test_a_list_without_anything_of_ours_is_told(text, words):
    with pytest.raises(PolicyErrors) as raised:
        load_text(text)
    assert words in str(raised.value)


def test_documents_that_are_no_lists_are_handed_on_as_they_are():
    documents = list(parse_yaml("a: 1\n---\n- b\n---\nkind: List\n"))
    assert list(without_lists(documents)) == [(one, False) for one in documents]


def test_a_list_of_scaled_objects_is_converted_item_by_item():
    conversion = convert_text(a_list(SCALED, OTHER, SCALED.replace("name: web", "name: api")), "all.yaml")
    assert [(one.name, one.line) for one in conversion.objects] == [("web", 4), ("api", 11)]
    assert conversion.skipped == 1
