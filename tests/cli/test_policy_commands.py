"""`burster policy validate | rules | explain | diff | convert` as a person and a pipeline use them."""

import json
from pathlib import Path

import pytest
import yaml

from burster.cli import policy_files


CLASSIC = Path(__file__).parents[1] / "policy" / "keda" / "classic.yaml"

POLICY = """\
apiVersion: burster.dev/v1alpha1
kind: BurstPolicy
metadata: {name: web, namespace: bank}
spec:
  workload: {kind: Deployment}
  limits: {maxBursts: 4, budget: {perDay: "5"}}
  placement: {strategy: Clone, targets: [east, west]}
"""
TARGET = """\
apiVersion: burster.dev/v1alpha1
kind: BurstTarget
metadata: {name: east}
spec:
  azure: {subscriptionId: 00000000-0000-0000-0000-000000000000, resourceGroup: burst, region: eastus}
  sizes: [Standard_DC2es_v6]
  allowedNamespaces: [bank]
  trustee: {url: https://trustee.example}
  initdata: {configMap: initdata}
  limits: {budget: {perMonth: "100"}}
"""
RISKY = POLICY.replace("maxBursts: 4, ", "")
CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: !Ref y}\n"


class Stdin:
    def __init__(self, text):
        self.buffer = self
        self.data = text if isinstance(text, bytes) else text.encode()

    def read(self, size=-1):
        return self.data[: size if size >= 0 else None]


@pytest.fixture
def piped(burster, monkeypatch):
    """Run a policy command with something piped into it."""

    def run(text, *arguments):
        monkeypatch.setattr("sys.stdin", Stdin(text))
        return burster("policy", *arguments)

    return run


@pytest.fixture
def file(tmp_path):
    def write(text, name="policy.yaml"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_a_warning_is_on_standard_error_and_no_failure(burster, file):
    path = file(RISKY)
    code, out, err = burster("policy", "validate", path)
    assert (code, out) == (0, f"{path}:1: BurstPolicy bank/web is valid\n")
    assert err == (
        f"warning: {path}:6:11: spec.limits: neither maxBursts nor maxVcpus is set: every pending pod that matches may go to the"
        " cloud at once: set limits.maxBursts [no-count-limit]\n"
        "1 finding; the comment `# burster: allow RULE` on the line silences one\n"
    )


@pytest.mark.parametrize(("level", "code", "told"), [("off", 0, 0), ("warn", 0, 1), ("error", 1, 1)])
def test_how_much_a_warning_matters(burster, file, level, code, told):
    found, out, err = burster("policy", "validate", file(RISKY), "--lint", level)
    assert found == code
    assert "is valid" in out
    assert err.count("[no-count-limit]") == told
    found, out, err = burster("policy", "validate", file(RISKY), "--lint", level, "-o", "json")
    document = json.loads(out)
    assert (found, err, document["valid"], len(document["warnings"])) == (code, "", code == 0, told)


def test_warnings_as_json(burster, file):
    path = file(RISKY)
    document = json.loads(burster("policy", "validate", path, "-o", "json")[1])
    assert document["warnings"] == [
        {
            "rule": "no-count-limit",
            "object": "BurstPolicy bank/web",
            "file": str(path),
            "line": 6,
            "column": 11,
            "path": "spec.limits",
            "message": "neither maxBursts nor maxVcpus is set: every pending pod that matches may go to the cloud at once",
            "advice": "set limits.maxBursts",
        }
    ]
    assert (document["problems"], document["skipped"]) == ([], 0)


def test_a_comment_silences_a_rule(burster, file):
    path = file(RISKY.replace('"5"}}', '"5"}} # burster: allow no-count-limit'))
    assert burster("policy", "validate", path) == (0, f"{path}:1: BurstPolicy bank/web is valid\n", "")


def test_known_prices_judge_a_budget(burster, file):
    path = file(POLICY.replace('perDay: "5"', 'perDay: "0.05"') + "---\n" + TARGET)
    code, _, err = burster("policy", "validate", path)
    assert code == 0
    assert "[budget-too-small]" in err
    assert "Standard_DC2es_v6, the cheapest, sets $0.1094 aside" in err


def test_a_window_is_judged_as_of_a_time(burster, file):
    path = file(POLICY + "  windows: [{name: sale, timezone: UTC, firstDay: 2026-12-01, lastDay: 2026-12-24}]\n")
    assert "[never-open]" not in burster("policy", "validate", path, "--at", "2026-12-24T23:00:00Z")[2]
    assert "[never-open]" in burster("policy", "validate", path, "--at", "2026-12-25T00:00:00Z")[2]


def test_every_rule_is_listed(burster):
    code, out, err = burster("policy", "rules")
    assert (code, err) == (0, "")
    assert "no-budget: no budget at all\n" in out
    assert len(out.splitlines()) > 40


def test_what_kustomize_prints_is_checked_and_the_rest_is_counted(piped):
    code, out, err = piped(
        f"{CONFIG_MAP}---\n{POLICY}---\n# a comment\n---\n{CONFIG_MAP}---\n{TARGET}", "validate", "-", "--lint", "off"
    )
    assert code == 0
    assert out == "-:6: BurstPolicy bank/web is valid\n-:21: BurstTarget east is valid\n"
    assert err == "2 documents of other kinds skipped\n"


def test_what_helm_prints_is_told_by_the_files_of_the_chart(piped):
    bad = POLICY.replace("maxBursts", "maxBurst")
    text = (
        f"---\n# Source: burst/templates/map.yaml\n{CONFIG_MAP}---\n# Source: burst/templates/policy.yaml\n{POLICY}"
        f"---\n# Source: burst/templates/policy.yaml\n{bad.replace('name: web', 'name: other').replace('Deployment', 'StatefulSet')}"
        f"---\n# Source: burst/templates/target.yaml\n{TARGET}"
    )
    code, out, err = piped(text, "validate", "-")
    assert (code, out) == (1, "")
    assert err.startswith(
        "burster: burst/templates/policy.yaml#2:6:12: spec.limits.maxBurst: unknown field; did you mean maxBursts?"
    )
    good = text.replace("maxBurst:", "maxBursts:")
    code, out, err = piped(good, "validate", "-", "--lint", "off")
    assert out.splitlines() == [
        "burst/templates/policy.yaml:1: BurstPolicy bank/web is valid",
        "burst/templates/policy.yaml#2:1: BurstPolicy bank/other is valid",
        "burst/templates/target.yaml:1: BurstTarget east is valid",
    ]
    assert err == "1 document of other kinds skipped\n"


def test_a_comment_silences_a_rule_in_a_charts_file_too(piped):
    text = "---\n# Source: a.yaml\n" + RISKY.replace('"5"}}', '"5"}} # burster: allow no-count-limit')
    assert piped(text, "validate", "-") == (0, "a.yaml:1: BurstPolicy bank/web is valid\n", "")


def test_the_same_object_from_two_sources_is_an_error(piped, file):
    path = file(POLICY)
    code, out, err = piped(f"---\n# Source: a.yaml\n{POLICY}", "validate", path, "-")
    assert (code, out) == (1, "")
    assert f"a.yaml:3:18: metadata.name: BurstPolicy bank/web is already defined in {path}:1" in err


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        (CONFIG_MAP, 2, "-: holds no BurstPolicy or BurstTarget among its 1 document(s)"),
        ("", 2, "-: empty: it holds no document"),
        ("# nothing\n---\n", 2, "-: empty: it holds no document"),
        (
            POLICY.replace("BurstPolicy", "BurstPolcy").replace("burster.dev", "burst.dev"),
            1,
            "did you mean BurstPolicy?",
        ),
        (
            "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: burster.dev/v1alpha1, kind: BurstPolicy}\n",
            1,
            "-:4:3: metadata: is required",
        ),
        (CONFIG_MAP + "---\nname: a\n", 1, "-:6:1: kind: is required"),
        (b"\xff\xfea\x00", 2, "UTF-16 text"),
        (b"a: \xff", 2, "not UTF-8"),
        (b"a: b\n" * 300_000, 2, "larger than 1 MiB"),
        (CONFIG_MAP + "---\napiVersion: burster.dev/v1alpha1\nkind: BurstPolicy\n  a: [", 2, "this is not YAML"),
    ],
)
def test_what_can_not_be_used_of_standard_input_is_told(piped, text, code, words):
    found, out, err = piped(text, "validate", "-")
    assert (found, out) == (code, "")
    assert words in err


def test_explain_tells_prices_and_openings(burster, file):
    windowed = file(POLICY + "  windows: [{timezone: Europe/Berlin, days: [Mon-Fri], from: '08:00', to: '20:00'}]\n")
    target = file(TARGET, "target.yaml")
    code, out, err = burster("policy", "explain", windowed, "--target", target, "--at", "2027-01-06T12:00:00Z")
    assert (code, err) == (0, "")
    assert (
        "There that is $0.1094 on Standard_DC2es_v6: of the cheapest size 45 in the budget per day at one time." in out
    )
    assert "At Wed 2027-01-06 13:00 CET it is in force, until Wed 2027-01-06 20:00 CET." in out
    assert "BurstTarget" not in out
    sentences = json.loads(burster("policy", "explain", windowed, target, "-o", "json")[1])
    assert [one["name"] for one in sentences] == ["bank/web", "east"]


def test_diff_of_the_same_behaviour(burster, file):
    other = file(POLICY.replace('perDay: "5"', "perDay: 5.0") + "  priority: 0\n", "other.yaml")
    assert burster("policy", "diff", file(POLICY), other) == (0, "no change in behaviour\n", "")
    code, out, _ = burster("policy", "diff", file(POLICY), other, "-o", "json")
    assert (code, json.loads(out)) == (0, {"same": True, "changes": []})


@pytest.mark.parametrize(
    ("change", "fail_on", "code"),
    [
        ("10", "any", 1),
        ("10", "looser", 1),
        ("10", "never", 0),
        ("1", "any", 1),
        ("1", "looser", 0),
    ],
)
def test_diff_of_another_budget(burster, file, change, fail_on, code):
    other = file(POLICY.replace('perDay: "5"', f'perDay: "{change}"'), "other.yaml")
    found, out, err = burster("policy", "diff", file(POLICY), other, "--fail-on", fail_on)
    way = "looser" if change == "10" else "tighter"
    assert (found, err) == (code, "")
    assert out == (
        f"{way} (money): BurstPolicy bank/web: the budget (spec.limits.budget.perDay): ${change}.0000 instead of $5.0000\n"
    )


@pytest.mark.parametrize(("fail_on", "code"), [("any", 1), ("looser", 1), ("never", 0)])
def test_a_change_that_may_be_looser_is_none_to_be_waved_through(burster, file, fail_on, code):
    old = file(POLICY, "old.yaml")
    new = file(POLICY.replace("{kind: Deployment}", '{kind: Deployment, namePattern: ".*"}'), "new.yaml")
    found, out, _ = burster("policy", "diff", old, new, "--fail-on", fail_on)
    assert (found, out.partition(" ")[0]) == (code, "unclear")


def test_diff_as_json(burster, file):
    other = file(POLICY.replace("maxBursts: 4", "maxBursts: 5"), "other.yaml")
    document = json.loads(burster("policy", "diff", file(POLICY), other, "-o", "json")[1])
    assert document == {
        "same": False,
        "changes": [
            {
                "object": "BurstPolicy bank/web",
                "field": "spec.limits.maxBursts",
                "area": "money",
                "direction": "looser",
                "before": "4",
                "after": "5",
                "sentence": "cloud pods at one time (spec.limits.maxBursts): 5 instead of 4",
            }
        ],
    }


def test_convert_prints_the_policy_and_says_the_rest(burster, tmp_path):
    code, out, err = burster("policy", "convert", CLASSIC, "-n", "bank")
    assert code == 0
    policy = yaml.safe_load(out)
    assert policy["metadata"] == {"name": "pod-status-scaledobject", "namespace": "bank"}
    assert f"{CLASSIC}:3:12: assumed: metadata.name: KEDA knows no place to burst to: target azure is assumed" in err
    assert f"{CLASSIC}:11:121: changed: spec.triggers[0].metadata.metricName: KEDA has deprecated it" in err
    written = tmp_path / "policy.yaml"
    code, out, _ = burster("policy", "convert", CLASSIC, "--target", "east", "--out", written)
    assert (code, out) == (0, "")
    assert burster("policy", "validate", written, "--lint", "off")[0] == 0


def test_convert_as_json(burster):
    document = json.loads(burster("policy", "convert", CLASSIC, "--target", "east", "-o", "json")[1])
    (found,) = document["objects"]
    assert (found["kind"], found["name"], found["line"]) == ("ScaledObject", "pod-status-scaledobject", 1)
    assert found["policy"]["spec"]["placement"] == {"strategy": "Scale", "targets": ["east"]}
    assert [note["kind"] for note in found["notes"]] == ["assumed", "assumed", "assumed", "changed"]
    assert (document["problems"], document["skipped"]) == ([], 0)


def test_convert_of_a_folder_takes_what_is_keda(burster, tmp_path):
    (tmp_path / "a.yaml").write_text(CLASSIC.read_text())
    (tmp_path / "b.yaml").write_text(CONFIG_MAP.replace("!Ref ", ""))
    (tmp_path / "c.txt").write_text("no YAML")
    code, out, _ = burster("policy", "convert", tmp_path, "--target", "east")
    assert code == 0
    assert out.count("kind: BurstPolicy") == 1


def test_convert_of_what_keda_tolerates_and_burster_does_not(piped):
    text = CLASSIC.read_text().replace("maxReplicaCount: 4", "maxReplicaCount: -4")
    code, out, err = piped(text, "convert", "-", "--target", "east")
    assert code == 1
    assert "maxReplicaCount: -4" in out
    assert "the policy is not valid yet: converted:" in err
    assert "spec.maxReplicaCount" in err


def test_convert_of_what_nothing_is_left_of(piped):
    text = CLASSIC.read_text().replace("type: prometheus", "type: kafka")
    code, out, err = piped(text, "convert", "-")
    assert (code, out) == (1, "")
    assert "-:10:5: not carried over: spec.triggers[0].type: burster has no trigger kafka" in err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (CONFIG_MAP.replace("!Ref ", ""), "-: holds no ScaledObject or ScaledJob of keda.sh/v1alpha1"),
        (b"\xff", "-: not UTF-8"),
        (b"a: b\n" * 300_000, "-: larger than 1 MiB"),
        ("a: [", "this is not YAML"),
    ],
)
def test_convert_of_what_can_not_be_used(piped, text, words):
    code, out, err = piped(text, "convert", "-")
    assert (code, out) == (2, "")
    assert words in err


def test_convert_of_no_file_and_into_no_file(burster, tmp_path):
    code, _, err = burster("policy", "convert", tmp_path / "none.yaml")
    assert code == 2
    assert "none.yaml: can't be read (No such file or directory)" in err
    code, _, err = burster("policy", "convert", CLASSIC, "--out", tmp_path / "a" / "b.yaml")
    assert code == 2
    assert "b.yaml: can't be written" in err


def test_a_pipe_is_read_once(file, tmp_path):
    assert policy_files._text(str(tmp_path)) is None
    assert policy_files._text(str(tmp_path / "none")) is None
    assert policy_files._text(str(file(POLICY))) == POLICY


@pytest.mark.parametrize(
    "command",
    [
        ["validate", "none.yaml"],
        ["explain", "none.yaml"],
        ["diff", "none.yaml", "none.yaml"],
        ["convert", "none.yaml"],
        ["test", "none.cases.yaml"],
        ["backtest", "none.yaml", "--prometheus", "http://127.0.0.1:9"],
    ],
    ids=lambda command: command[0],
)
def test_what_can_not_be_read_is_one_json_document_too(burster, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    code, out, err = burster("policy", *command, "-o", "json")
    assert (code, err) == (2, "")
    (problem,) = json.loads(out)["problems"][:1]
    assert problem["file"].startswith("none.")
    assert set(problem) == {"file", "line", "column", "path", "message", "excerpt"}


def test_what_is_wrong_is_told_as_json_with_its_excerpt(burster, file):
    wrong = file(POLICY + "  when: pendng.count > 3\n")
    for command in (["validate", wrong], ["explain", wrong], ["diff", wrong, wrong]):
        code, out, err = burster("policy", *command, "-o", "json")
        assert (code, err) == (1, "")
        (problem,) = json.loads(out)["problems"]
        assert (problem["line"], problem["column"], problem["path"]) == (8, 9, "spec.when")
        assert problem["excerpt"] == "pendng.count > 3\n^"


@pytest.mark.parametrize("command", ["validate", "explain", "convert"])
def test_a_standard_input_that_is_closed_is_told(burster, monkeypatch, command):
    monkeypatch.setattr("sys.stdin", None)
    code, out, err = burster("policy", command, "-")
    assert (code, out) == (2, "")
    assert err == "burster: -: standard input is closed: pipe something into it, or name a file\n"


def test_an_empty_name_is_not_the_folder_one_is_in(burster, file, monkeypatch):
    monkeypatch.chdir(file(POLICY).parent)
    assert burster("policy", "validate", "") == (2, "", 'burster: "": an empty name: name a file, a folder or -\n')


def test_an_option_that_is_no_duration_is_named(burster, file):
    code, out, err = burster("policy", "backtest", file(POLICY), "--prometheus", "http://127.0.0.1:9", "--step", "5")
    assert (code, out) == (2, "")
    assert err == 'burster: --step: \'5\' is no duration: write for example "30s", "5m" or "1h30m"\n'
