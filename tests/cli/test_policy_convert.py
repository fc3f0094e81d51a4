"""`burster policy convert` of several objects: one that is broken is named with its place, and stops nobody else's."""

import json

import pytest
import yaml


GOOD = """\
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: NAME, namespace: bank}
spec:
  scaleTargetRef: {name: cloud}
  triggers:
  - {type: cron, metadata: {start: 0 8 * * *, end: 0 18 * * *, timezone: UTC, desiredReplicas: "2"}}
"""
FIRST = GOOD.replace("NAME", "first")
LAST = GOOD.replace("NAME", "last").replace("cloud", "other")
BROKEN = {
    "no workload": (GOOD.replace("{name: cloud}", "{}"), "spec.scaleTargetRef.name: is required", 5),
    "no name": (GOOD.replace("name: NAME, ", ""), "metadata.name: is required", 3),
    "another version": (GOOD.replace("v1alpha1", "v2"), "apiVersion: expected keda.sh/v1alpha1, found 'keda.sh/v2'", 1),
    "a field twice": (GOOD + "spec: {}\n", "spec: given twice", 8),
    "a job of none": (GOOD.replace("ScaledObject", "ScaledJob"), "spec.jobTargetRef: is required", 4),
}


@pytest.fixture
def convert(burster, tmp_path):
    def run(texts, *options):
        for name, text in texts.items():
            (tmp_path / name).write_text(text)
        return burster("policy", "convert", *(tmp_path / name for name in texts), "--target", "east", *options)

    return run


def names(text):
    return [one["metadata"]["name"] for one in yaml.safe_load_all(text)]


@pytest.mark.parametrize("case", BROKEN)
def test_the_others_of_a_file_are_converted(convert, tmp_path, case):
    text, words, line = BROKEN[case]
    code, out, err = convert({"all.yaml": f"{FIRST}---\n{text}---\n{LAST}"})
    assert (code, names(out)) == (1, ["first", "last"])
    (told,) = [one for one in err.splitlines() if one.startswith("not converted: ")]
    assert told.startswith(f"not converted: {tmp_path}/all.yaml:{FIRST.count(chr(10)) + 1 + line}:")
    assert words in told


def test_the_others_of_several_files_are_converted(convert, tmp_path):
    code, out, err = convert({"a.yaml": FIRST, "b.yaml": BROKEN["no name"][0], "c.yaml": "a: [", "d.yaml": LAST})
    # 2, as something could not be read at all
    assert (code, names(out)) == (2, ["first", "last"])
    assert f"not converted: {tmp_path}/b.yaml:3:1: metadata.name: is required" in err
    assert f"not converted: {tmp_path}/c.yaml:" in err


def test_what_stands_before_a_text_that_ends_in_no_yaml_is_converted(convert):
    code, out, err = convert({"all.yaml": f"{FIRST}---\na: [\n"})
    assert (code, names(out)) == (2, ["first"])
    assert "this is not YAML" in err


def test_what_was_converted_is_written_and_what_was_not_is_in_the_json(convert, tmp_path):
    written = tmp_path / "policies.yaml"
    both = {"a.yaml": FIRST, "b.yaml": BROKEN["no workload"][0]}
    code, out, err = convert(both, "--out", written, "-o", "json")
    document = json.loads(out)
    assert (code, err, names(written.read_text())) == (1, "", ["first"])
    assert [one["name"] for one in document["objects"]] == ["bank/first"]
    assert [(one["line"], one["path"]) for one in document["problems"]] == [(5, "spec.scaleTargetRef.name")]


def test_nothing_is_written_where_nothing_was_converted(convert, tmp_path):
    written = tmp_path / "policies.yaml"
    code, out, err = convert({"a.yaml": BROKEN["no name"][0]}, "--out", written)
    assert (code, out, written.exists()) == (1, "", False)
    assert err.startswith(f"burster: {tmp_path}/a.yaml:3:1: metadata.name: is required")


def test_a_policy_that_is_not_valid_yet_is_found_in_the_file_it_was_written_to(convert, tmp_path):
    written = tmp_path / "policies.yaml"
    code, _, err = convert({"a.yaml": FIRST.replace("triggers:", "maxReplicaCount: -4\n  triggers:")}, "--out", written)
    line = written.read_text().splitlines().index("  maxReplicaCount: -4") + 1
    assert code == 1
    assert f"the policy is not valid yet: {written}:{line}:20: spec.maxReplicaCount:" in err
