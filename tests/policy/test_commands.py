"""`burster policy validate | explain | schema`: what a person and a script get."""

import json

import pytest
from typer.testing import CliRunner

from burster.cli.policy import app
from burster.policy.crds import crd_files
from burster.policy.errors import PolicyErrors


GOOD = """\
apiVersion: burster.dev/v1alpha1
kind: BurstPolicy
metadata: {name: classic, namespace: bank}
spec:
  workload: {podNamePattern: on-prem-deployment.*}
  limits: {maxBursts: 4, budget: {perHour: "5"}}
  placement: {strategy: Clone, targets: [azure]}
---
apiVersion: burster.dev/v1alpha1
kind: BurstTarget
metadata: {name: azure}
spec:
  azure: {subscriptionId: 00000000-0000-0000-0000-000000000000, resourceGroup: burst, region: eastus}
  sizes: [Standard_DC2es_v6]
  allowedNamespaces: [bank]
  trustee: {url: "https://trustee.bank.example"}
"""


def run(*arguments, stdin=None):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "good.yaml"
    path.write_text(GOOD)
    return path


def test_valid_files_are_named_one_a_line(good):
    result = run("validate", good)
    assert result.exit_code == 0
    assert result.stdout == f"{good}:1: BurstPolicy bank/classic is valid\n{good}:9: BurstTarget azure is valid\n"


def test_standard_input_is_a_dash():
    assert run("validate", "-", stdin=GOOD).stdout.startswith("-:1: BurstPolicy bank/classic is valid")


def test_json_of_valid_files_is_one_document(good):
    told = json.loads(run("validate", "-o", "json", good).stdout)
    assert told["valid"] is True
    assert told["documents"][1] == {"file": str(good), "line": 9, "kind": "BurstTarget", "name": "azure"}


@pytest.mark.parametrize(
    ("text", "code", "path"),
    [(GOOD.replace("maxBursts", "maxBurst"), 1, "spec.limits.maxBurst"), ("a: [", 2, "")],
    ids=["invalid", "unreadable"],
)
def test_json_of_invalid_files_tells_every_problem(tmp_path, text, code, path):
    file = tmp_path / "x.yaml"
    file.write_text(text)
    result = run("validate", "-o", "json", file)
    told = json.loads(result.stdout)
    assert (result.exit_code, told["valid"], told["documents"]) == (code, False, [])
    assert [problem["path"] for problem in told["problems"]] == [path]
    assert told["problems"][0]["file"] == str(file)
    assert told["problems"][0]["line"] > 0


@pytest.mark.parametrize(
    ("text", "code"), [(GOOD.replace("maxBursts", "maxBurst"), 1), ("a: [", 2)], ids=["invalid", "unreadable"]
)
def test_text_of_invalid_files_is_left_to_the_app_with_its_exit_code(text, code):
    result = run("validate", "-", stdin=text)
    assert isinstance(result.exception, PolicyErrors)
    assert result.exception.exit_code == code
    assert result.stdout == ""


def test_explain_says_it_in_sentences_with_numbers(good):
    told = run("explain", good).stdout
    for words in (
        "Policy bank/classic is about pods whose own whole name matches on-prem-deployment.* in namespace bank.",
        "unschedulable for 30s",
        "at most 4 cloud pods",
        "$5.0000 per hour",
        "the price of 1h5m is set aside (5m + 50m + 10m)",
        "A clone goes 5m after the demand for it has ended.",
        "Target azure is azure region eastus",
        "Only namespaces bank may burst here.",
        "A size of unknown price is refused.",
    ):
        assert words in told


def test_explain_covers_the_other_choices():
    text = (
        GOOD.replace("strategy: Clone", "strategy: Move")
        .replace("namespace: bank}", 'namespace: bank, annotations: {burster.dev/paused: "true"}}')
        .replace('{maxBursts: 4, budget: {perHour: "5"}}', "{}")
        .replace(
            "{podNamePattern: on-prem-deployment.*}", "{kind: Pod, namePattern: t-.*, selector: {matchLabels: {a: b}}}"
        )
        .replace(
            "allowedNamespaces: [bank]", 'allowedNamespaces: ["*"]\n  assumedPricePerHour: 0.5\n  sweep: {mode: Delete}'
        )
    )
    told = run("explain", "-", stdin=text).stdout
    for words in (
        "It is paused",
        "bare pods whose whole name matches t-.* and that carry a=b",
        "there is no limit",
        "the pending pod itself",
        "Every namespace",
        "$0.5000 per hour",
        "are deleted",
    ):
        assert words in told
    assert "A clone goes" not in told
    assert (
        "No namespace may burst here"
        in run("explain", "-", stdin=GOOD.replace("  allowedNamespaces: [bank]\n", "").split("---\n")[1]).stdout
    )


def test_explain_counts_from_one():
    assert "as soon as one such pod has been" in run("explain", "-", stdin=GOOD).stdout
    more = GOOD.replace("  limits:", "  triggers: [{type: pending-pods, metadata: {minCount: 3}}]\n  limits:")
    assert "as soon as 3 such pods have been" in run("explain", "-", stdin=more).stdout
    two = GOOD.replace("sizes: [Standard_DC2es_v6]", "sizes: [Standard_DC2es_v6, Standard_DC4es_v6]")
    assert "on Standard_DC2es_v6 or Standard_DC4es_v6, with TDX." in run("explain", "-", stdin=two).stdout


def test_explain_as_json(good):
    told = json.loads(run("explain", "-o", "json", good).stdout)
    assert [(item["kind"], item["name"]) for item in told] == [
        ("BurstPolicy", "bank/classic"),
        ("BurstTarget", "azure"),
    ]


def test_schema_prints_a_json_schema_and_writes_the_crds(tmp_path):
    assert json.loads(run("schema").stdout)["oneOf"]
    result = run("schema", "--crds", tmp_path / "crds")
    assert result.stdout == ""
    assert {path.name: path.read_text("utf-8") for path in (tmp_path / "crds").iterdir()} == crd_files()


def test_a_folder_that_cant_be_written_is_told(good):
    result = run("schema", "--crds", good / "below-a-file")
    assert isinstance(result.exception, PolicyErrors)
    assert "can't be written" in str(result.exception)


@pytest.mark.parametrize(
    "arguments", [["validate"], ["explain"], ["validate", "--colour", "x"], ["nonsense"]], ids=" ".join
)
def test_wrong_usage_has_exit_code_2(arguments):
    assert run(*arguments).exit_code == 2
