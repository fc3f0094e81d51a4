"""`burster policy test`: what a person and a CI system get."""

import json
from xml.etree import ElementTree as ET

import pytest

from tests.simulator.test_policy_cases import ONE_POD, write


TWO = f"{ONE_POD}  expect:\n  - {{bursts: 1}}\n- name: wrong\n  expect:\n  - {{bursts: 5}}\n"


@pytest.fixture
def cases(tmp_path):
    return write(tmp_path, TWO)


def test_a_case_that_is_not_as_expected_is_exit_code_1(burster, cases):
    code, out, err = burster("policy", "test", cases)
    assert code == 1
    assert out == f"{cases}:14: wrong: expected 5 bursts, found 0\n1 passed, 1 failed in 1 file\n"
    assert err == ""


def test_cases_are_chosen_by_name_and_told_as_json(burster, cases):
    code, out, _ = burster("policy", "test", cases.parent, "-k", "one pod", "-o", "json")
    assert code == 0
    value = json.loads(out)
    assert (value["passed"], value["failed"]) == (1, 0)
    assert value["files"][0]["cases"] == [{"name": "one pod", "line": 6, "passed": True, "failures": []}]


def test_passed_cases_are_named_on_request(burster, cases):
    code, out, _ = burster("policy", "test", cases, "-k", "one", "-v")
    assert (code, out) == (0, f"{cases}:6: passed: one pod\n1 passed, 0 failed in 1 file\n")


def test_results_are_written_as_junit(burster, cases, tmp_path):
    code, _, _ = burster("policy", "test", cases, "--junit", tmp_path / "out.xml")
    assert code == 1
    (suite,) = ET.parse(tmp_path / "out.xml").getroot()  # noqa: S314 - our own
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    code, out, err = burster("policy", "test", cases, "--junit", tmp_path / "no" / "out.xml")
    assert (code, out) == (2, "")
    assert "can't be written" in err


NAMES = {
    "no such case": (["-k", "no such"], 1, "no case has 'no such' in its name"),
    "no such file": (["none.cases.yaml"], 2, "none.cases.yaml: no such file"),
}


@pytest.mark.parametrize(("arguments", "code", "want"), NAMES.values(), ids=NAMES)
def test_what_can_not_be_run_is_one_sentence(burster, cases, arguments, code, want):
    got, out, err = burster("policy", "test", cases, *arguments)
    assert (got, out) == (code, "")
    assert want in err


def test_an_owner_that_is_none_is_told_in_words(burster, tmp_path):
    cases = tmp_path / "x.cases.yaml"
    cases.write_text(
        "apiVersion: burster.dev/v1alpha1\nkind: PolicyCases\npolicies: [p.yaml]\ncases:\n- name: x\n"
        "  given: {pods: [{name: web-1, owner: web}]}\n  expect: [{bursts: 0}]\n"
    )
    code, _, err = burster("policy", "test", cases)
    assert code == 1
    assert (
        f"{cases}:6:39: cases[0].given.pods[0].owner: the text 'web' is not of the form that is expected here: " in err
    )
    assert "pattern" not in err
