"""Policy cases: given this state and these stimuli, expect these decisions."""

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from burster.policy.errors import PolicyErrors
from burster.simulator.cases.load import case_files, load_cases
from burster.simulator.cases.report import FileResult, as_json, junit, lines
from burster.simulator.cases.run import run_case


POLICY = """\
apiVersion: burster.dev/v1alpha1
kind: BurstPolicy
metadata: {name: web, namespace: shop}
spec:
  workload: {kind: Deployment}
  triggers:
  - {type: pending-pods, metadata: {pendingFor: 10s}}
  limits: {maxBursts: 2, budget: {perHour: "3.00"}}
  placement: {strategy: Clone, targets: [there]}
  cooldownPeriod: 60
"""
TARGET = """\
apiVersion: burster.dev/v1alpha1
kind: BurstTarget
metadata: {name: there}
spec:
  azure: {subscriptionId: 00000000-0000-0000-0000-000000000000, resourceGroup: rg, region: westeurope}
  sizes: [Standard_DC2es_v6, Standard_DC4es_v6]
  allowedNamespaces: [shop]
  trustee: {url: https://trustee.example}
"""
CATALOGUE_TARGET = """\
apiVersion: burster.dev/v1alpha1
kind: BurstTarget
metadata: {name: there}
spec:
  provider: sovereign
  region: eu-1
  catalogue:
  - {size: C4, cpu: "4", memory: 16Gi, tee: TDX, pricePerHour: "0.20"}
  allowedNamespaces: [shop]
  trustee: {url: https://trustee.example}
"""
HEAD = """\
apiVersion: burster.dev/v1alpha1
kind: PolicyCases
policies: [policy.yaml]
targets: [target.yaml]
cases:
"""


def write(folder: Path, cases: str, head: str = HEAD) -> Path:
    (folder / "policy.yaml").write_text(POLICY)
    (folder / "target.yaml").write_text(TARGET)
    path = folder / "web.cases.yaml"
    path.write_text(head + cases)
    return path


def told(folder: Path, cases: str) -> list[str]:
    file = load_cases(write(folder, cases))
    return [f"{one.line}: {one.message}" for loaded in file.cases for one in run_case(file, loaded).failures]


ONE_POD = """\
- name: one pod
  given:
    pods:
    - {name: web-1, owner: Deployment/web, cpu: "2", pending: 20s}
"""
GOES_AND_COMES_HOME = """\
- name: a pod goes and its clone comes home
  given:
    pods:
    - {name: web, count: 2, owner: Deployment/web, cpu: "2", memory: 4Gi, pending: 20s}
    launch: 80s
  expect:
  - {pod: web, verdict: Burst, reason: Cheapest, strategy: Clone, size: Standard_DC2es_v6, target: there}
  - {pod: web-2, verdict: Burst, says: set aside}
  - {bursts: 2, serving: 0}
  - {policy: web, bursts: 2, reservedAtMost: "1.00"}
  steps:
  - after: 79s
    expect:
    - {serving: 0}
  - after: 1s
    expect:
    - {policy: web, serving: 2}
  - after: 1m
    bound: [web-1, web-2]
    expect:
    - {serving: 2, comingHome: 0}
  - after: 1h
    expect:
    - {bursts: 0, reservedAtMost: "0"}
    - {spentAtMost: "1.00"}
"""


def test_a_case_that_is_as_expected_says_nothing(tmp_path):
    assert told(tmp_path, GOES_AND_COMES_HOME) == []


WRONG = {
    "another verdict": (
        "{pod: web-1, verdict: Deny}",
        r"pod shop/web-1: expected Deny, decided Burst as Clone on \S+ at there: Pending",
    ),
    "another reason": ("{pod: web-1, reason: TooYoung}", "expected TooYoung, decided Burst"),
    "another sentence": ("{pod: web-1, says: by moonlight}", "expected saying 'by moonlight', decided Burst"),
    "another strategy": ("{pod: web-1, strategy: Move}", "expected Move, decided Burst as Clone"),
    "another size": (
        "{pod: web-1, size: Standard_DC4es_v6}",
        "expected Standard_DC4es_v6, decided Burst as Clone on Standard_DC2es_v6",
    ),
    "another target": ("{pod: web-1, target: elsewhere}", "expected at elsewhere, decided Burst"),
    "silence": ("{pod: web-1, silent: true}", "pod shop/web-1: expected no decision, decided Burst: Pending"),
    "a pod nobody heard of": (
        "{pod: web-9, verdict: Burst}",
        "pod shop/web-9: expected Burst, and nothing was decided",
    ),
    "more bursts": ("{bursts: 2}", "expected 2 bursts, found 1"),
    "fewer bursts of a policy": ("{policy: web, bursts: 0}", "policy shop/web: expected 0 bursts, found 1"),
    "one that serves": ("{serving: 1}", "expected 1 bursts that serve, found 0"),
    "one coming home": ("{comingHome: 1}", "expected 1 bursts on their way home, found 0"),
    "another number": ("{policy: web, replicas: 3}", "policy shop/web: expected 3 replicas, found 1"),
    "less money": ('{reservedAtMost: "0.01"}', r"expected at most \$0.0100 reserved, found \$0"),
    "a policy's own decision": (
        "{policy: web, verdict: Scale}",
        "policy shop/web: expected Scale, and nothing was decided",
    ),
}


@pytest.mark.parametrize(("expectation", "want"), WRONG.values(), ids=WRONG)
def test_what_differs_is_told_with_its_line(tmp_path, expectation, want):
    (line,) = told(tmp_path, f"{ONE_POD}  expect:\n  - {{bursts: 1}}\n  - {expectation}\n")
    assert re.search(want, line), line
    assert line.startswith("12: ")


def test_a_group_is_told_by_its_members_and_not_without_end(tmp_path):
    pods = ONE_POD.replace("name: web-1", "name: web, count: 9")
    found = told(tmp_path, f"{pods}  expect:\n  - {{pod: web, verdict: Release}}\n")
    who = [line.split(":")[1].strip() for line in found]
    assert who == [
        "pod shop/web-1",
        "pod shop/web-2",
        "pod shop/web-3",
        "and 6 more of shop/web",
    ]


def test_a_case_stops_at_the_step_that_is_not_as_expected(tmp_path):
    steps = "  steps:\n  - expect:\n    - {bursts: 7}\n  - expect:\n    - {bursts: 8}\n"
    assert told(tmp_path, ONE_POD + steps) == ["12: expected 7 bursts, found 1"]


YOUNG = ONE_POD.replace("pending: 20s", "pending: 2s")
AT_ONCE = "  steps:\n  - {HAPPENS, expect: [EXPECTED]}\n"
LATER = "  steps:\n  - {HAPPENS}\n  - {after: 15s, expect: [EXPECTED]}\n"
WHEN_IT_IS_OUT = "  expect: [{bursts: 1}]\n  steps:\n  - {HAPPENS}\n  - {after: 1h, expect: [EXPECTED]}\n"
UNKNOWN = "prices: {Standard_DC2es_v6: unknown, Standard_DC4es_v6: unknown}"
THINGS_THAT_HAPPEN = {
    "on-prem takes it": (YOUNG, AT_ONCE, "bound: [web-1]", "{pod: web-1, verdict: Resolved, reason: RunsOnPrem}"),
    "it is deleted": (YOUNG, AT_ONCE, "gone: [shop/web-1]", "{pod: web-1, verdict: Resolved, reason: PodGone}"),
    "everything is to come home": (YOUNG, AT_ONCE, "after: 9s, drain: true", "{pod: web-1, reason: ComingHome}"),
    "no price is known any more": (YOUNG, LATER, f"after: 5s, {UNKNOWN}", "{pod: web-1, reason: PriceUnknown}"),
    "the policy goes": (ONE_POD, WHEN_IT_IS_OUT, "policyDeleted: web", "{bursts: 0}"),
    "a clone's pod is taken": (ONE_POD, WHEN_IT_IS_OUT, "after: 5m, bound: [web-1]", "{bursts: 0}"),
}


@pytest.mark.parametrize(("given", "steps", "happens", "expected"), THINGS_THAT_HAPPEN.values(), ids=THINGS_THAT_HAPPEN)
def test_a_step_lets_things_happen(tmp_path, given, steps, happens, expected):
    assert told(tmp_path, given + steps.replace("HAPPENS", happens).replace("EXPECTED", expected)) == []


DEAR = '{Standard_DC2es_v6: "9", Standard_DC4es_v6: "9"}'
GIVEN = {
    "money that was spent": ('spent: [{amount: "2.95"}]', "{pod: web-1, verdict: Wait, reason: PolicyBudget}"),
    "money that was spent yesterday": ('spent: [{amount: "2.95", ago: 25h}]', "{pod: web-1, verdict: Burst}"),
    "no quota": (
        "quota: {standardDCEV6Family: {used: 9, limit: 10}}",
        "{pod: web-1, verdict: Wait, reason: QuotaExhausted}",
    ),
    "enough quota": ("quota: {standardDCEV6Family: {used: 8, limit: 10}}", "{pod: web-1, verdict: Burst}"),
    "a restricted size": ("restricted: [Standard_DC2es_v6]", "{pod: web-1, size: Standard_DC4es_v6}"),
    "another price": ('prices: {Standard_DC2es_v6: "9"}', "{pod: web-1, size: Standard_DC4es_v6}"),
    "prices beyond the budget": (f"prices: {DEAR}", "{pod: web-1, verdict: Wait, reason: PolicyBudget}"),
}


@pytest.mark.parametrize(("given", "expected"), GIVEN.values(), ids=GIVEN)
def test_what_is_given_is_so(tmp_path, given, expected):
    assert told(tmp_path, f"{ONE_POD}    {given}\n  expect:\n  - {expected}\n") == []


def test_what_was_spent_by_the_file_and_by_the_case_adds_up(tmp_path):
    head = HEAD.replace("cases:", 'given:\n  spent: [{amount: "1.00", ago: 1m}]\ncases:')
    expect = "  expect:\n  - {policy: web, spentAtMost: '2.99'}\n  - {policy: web, spentAtMost: '3.00'}\n"
    path = write(tmp_path, f'{ONE_POD}    spent: [{{amount: "2.00", ago: 1m}}]\n{expect}', head)
    file = load_cases(path)
    (found,) = run_case(file, file.cases[0]).failures
    assert found.message == "policy shop/web: expected at most $2.9900 spent, found $3.0000"


def test_what_a_catalogue_declares_is_not_a_cases_to_change(tmp_path):
    def loaded(given):
        path = write(tmp_path, f"{ONE_POD}    {given}\n  expect:\n  - {{pod: web-1, size: C4}}\n")
        (tmp_path / "target.yaml").write_text(CATALOGUE_TARGET)
        return load_cases(path)

    file = loaded("refuse: {C4: SkuNotAvailable}")
    assert run_case(file, file.cases[0]).failures == ()
    for given in ('prices: {C4: "1"}', "restricted: [C4]"):
        with pytest.raises(PolicyErrors, match="size C4 is what its target's catalogue says: change it there"):
            loaded(given)


def test_a_pod_that_does_not_run_can_not_finish(tmp_path):
    steps = "  steps:\n  - {after: 1s, finished: [web-1], expect: [{bursts: 1}]}\n"
    assert told(tmp_path, ONE_POD + steps) == [
        "11: pod shop/web-1 can't finish: it does not run in the cloud at that moment"
    ]


def test_a_size_that_is_refused_is_not_tried_again_at_once(tmp_path):
    cases = (
        f"{ONE_POD}    refuse: {{Standard_DC2es_v6: SkuNotAvailable}}\n  expect:\n  - {{pod: web-1, verdict: Burst}}\n"
        "  steps:\n  - after: 10s\n    expect:\n    - {serving: 0}\n"
    )
    assert told(tmp_path, cases) == []


NOTHING = "- {name: x, expect: [{bursts: 0}]}\n"


def expecting(what: str) -> str:
    return f"{HEAD}- {{name: x, expect: [{{{what}}}]}}\n"


def given(what: str) -> str:
    return f"{HEAD}- {{name: x, given: {{{what}}}, expect: [{{bursts: 0}}]}}\n"


BAD = {
    "no case": (HEAD + "  []\n", "web.cases.yaml:6"),
    "a case that expects nothing": (HEAD + "- {name: x}\n", "cases[0]: expects nothing at all, so it can't fail"),
    "an expectation of nothing": (expecting("pod: web-1"), "cases[0].expect[0]: expects nothing"),
    "a number and a verdict": (expecting("policy: web, verdict: Scale, bursts: 1"), "are two expectations"),
    "a decision of nobody": (expecting("verdict: Burst"), "whose decision?"),
    "a number of a pod": (expecting("pod: web-1, bursts: 1"), "take the pod out"),
    "replicas of nobody": (expecting("replicas: 1"), "whose replicas?"),
    "an unknown policy": (expecting("policy: webb, bursts: 1"), "no policy webb: the files have shop/web, web"),
    "an unknown trigger": (given("metrics: {queue: 1}"), "no policy has a trigger queue: they have pending-pods"),
    "a pod that is taken and was never there": (
        HEAD + "- {name: x, steps: [{bound: [web-9], expect: [{bursts: 0}]}]}\n",
        "cases[0].steps[0].bound[0]: no pod web-9 was given until then: there is none",
    ),
    "money of an unknown policy": (given('spent: [{amount: "1", policy: webb}]'), "no policy webb: the files have"),
    "money at an unknown target": (
        given('spent: [{amount: "1", target: here}]'),
        "no target here: the files have there",
    ),
    "a price of an unknown size": (
        given('prices: {Standard_DC2s: "1"}'),
        "cases[0].given.prices.Standard_DC2s: no target has a size Standard_DC2s: they have Standard_DC2es_v6, Standard",
    ),
    "an unknown size that is restricted": (given("restricted: [C4]"), "given.restricted[0]: no target has a size C4"),
    "an unknown size that is refused": (
        given("refuse: {C4: SkuNotAvailable}"),
        "given.refuse.C4: no target has a size",
    ),
    "a negative value": (given("metrics: {pending-pods: -1}"), "metrics"),
    "an owner without a name": (given("pods: [{name: a, owner: Deployment}]"), "owner"),
    "the same name twice": (HEAD + NOTHING + NOTHING, "'x' is there twice"),
    "a time without a zone": (
        HEAD + NOTHING.replace("x,", "x, at: '2026-01-05T09:00:00',"),
        "no time with a time zone",
    ),
    "an unknown field": (HEAD + "- {name: x, expects: []}\n", "expects"),
    "another kind": (HEAD.replace("PolicyCases", "PolicyCase") + NOTHING, "expected PolicyCases"),
    "no such file of rules": (HEAD.replace("policy.yaml", "polizy.yaml") + NOTHING, "polizy.yaml: no such file"),
    "no policy in its files": (HEAD.replace("[policy.yaml]\ntargets: ", "") + NOTHING, "names no BurstPolicy"),
}


@pytest.mark.parametrize(("text", "want"), BAD.values(), ids=BAD)
def test_a_mistake_in_a_file_is_told_with_its_place(tmp_path, text, want):
    path = write(tmp_path, "", head=text)
    with pytest.raises(PolicyErrors) as error:
        load_cases(path)
    assert want in str(error.value)


def test_folders_are_searched_for_files_of_cases(tmp_path):
    path = write(tmp_path, GOES_AND_COMES_HOME)
    assert case_files([tmp_path]) == [path]
    assert case_files([path, tmp_path]) == [path]
    (tmp_path / "empty").mkdir()
    with pytest.raises(PolicyErrors, match="without any file of cases"):
        case_files([tmp_path / "empty"])


def results(folder: Path, cases: str) -> list[FileResult]:
    file = load_cases(write(folder, cases))
    return [FileResult(path=file.path, cases=tuple(run_case(file, loaded) for loaded in file.cases), seconds=0.25)]


TWO = f'{ONE_POD}  expect:\n  - {{bursts: 1}}\n- name: wrong <&> "it"\n  expect:\n  - {{bursts: 5}}\n'


def test_results_as_lines(tmp_path):
    found = results(tmp_path, TWO)
    path = tmp_path / "web.cases.yaml"
    assert list(lines(found)) == [
        f'{path}:14: wrong <&> "it": expected 5 bursts, found 0',
        "1 passed, 1 failed in 1 file",
    ]
    assert next(iter(lines(found, verbose=True))) == f"{path}:6: passed: one pod"


def test_results_as_json(tmp_path):
    value = as_json(results(tmp_path, TWO))
    assert (value["passed"], value["failed"]) == (1, 1)
    assert value["files"][0]["cases"][1]["failures"] == [{"line": 14, "message": "expected 5 bursts, found 0"}]


def test_results_as_junit(tmp_path):
    root = ET.fromstring(junit(results(tmp_path, TWO)))  # noqa: S314 - our own
    (suite,) = root
    assert suite.attrib | {"name": ""} == {"name": "", "tests": "2", "failures": "1", "errors": "0", "time": "0.250"}
    good, bad = suite
    assert (good.get("name"), len(good)) == ("one pod", 0)
    assert bad.get("name") == 'wrong <&> "it"'
    assert bad[0].get("message") == "expected 5 bursts, found 0"
    assert "web.cases.yaml:14: expected 5 bursts, found 0" in (bad[0].text or "")


def test_cases_run_under_pytest_where_burster_is_installed(tmp_path):
    write(tmp_path, TWO)
    (tmp_path / "others.cases.yaml").write_text("kind: SomethingElse\n")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            str(tmp_path),
            "--junitxml",
            str(tmp_path / "r.xml"),
        ],
        capture_output=True,
        text=True,
        timeout=100,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed, 1 passed" in done.stdout
    assert "web.cases.yaml:14: expected 5 bursts, found 0" in done.stdout
    assert "Traceback" not in done.stdout
    assert len(ET.parse(tmp_path / "r.xml").getroot()[0]) == 2  # noqa: S314 - pytest's own


def test_a_file_that_can_not_be_read_is_an_error_of_collection(tmp_path):
    write(tmp_path, "- {name: x}\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=100,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 2
    assert "expects nothing at all" in done.stdout
