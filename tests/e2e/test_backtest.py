"""`burster policy backtest` against a stand-in; tests/contract/prometheus holds the stand-in to a real Prometheus."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from burster.cli import main
from tests.support.prometheus import START_S, STEP_S, StandIn, step_time


@pytest.fixture
def prometheus() -> Iterator[StandIn]:
    server = StandIn()
    yield server
    server.close()


QUERY = 'sum(kube_pod_status_phase{phase="Pending", namespace="bank",pod=~"on-prem-deployment.*"})'
POLICY = f"""\
apiVersion: burster.dev/v1alpha1
kind: BurstPolicy
metadata: {{name: classic, namespace: bank}}
spec:
  workload: {{ownerRef: {{kind: Deployment, name: cloud-deployment}}}}
  scaleTargetRef: {{name: cloud-deployment}}
  triggers:
  - type: prometheus
    name: waiting
    metadata:
      serverAddress: https://prometheus:9090
      query: '{QUERY}'
      threshold: "1"
  maxReplicaCount: 4
  cooldownPeriod: 60
  placement: {{strategy: Scale, targets: [east]}}
"""


@pytest.fixture
def run(capsys, tmp_path, monkeypatch, prometheus):
    monkeypatch.setenv("HOME", str(tmp_path))

    def command(*arguments, text=POLICY, steps=60, url=None):
        path = tmp_path / "policy.yaml"
        path.write_text(text)
        until = datetime.fromtimestamp(START_S + steps * STEP_S, UTC).isoformat()
        days = f"{steps * STEP_S / 86_400:.9f}"
        options = ["--prometheus", url or prometheus.url, "--days", days, "--until", until]
        with pytest.raises(SystemExit) as stopped:
            main(["policy", "backtest", str(path), *options, *map(str, arguments)])
        out, err = capsys.readouterr()
        return stopped.value.code, out, err

    return command


def told(result):
    code, out, err = result
    assert (code, err) == (0, "")
    return json.loads(out)


def test_the_classic_would_have_fired_once(run, prometheus):
    prometheus.series = [({}, {step: (3 if 10 <= step < 20 else 0) for step in range(61)})]
    found = told(run("-o", "json"))
    assert found["policy"] == "bank/classic"
    assert (found["start"], found["end"], found["step_seconds"]) == (step_time(0), step_time(60), 30)
    (span,) = found["spans"]
    # active at step 10: to 1; one step later the proposal is followed: 3; the last value above 0 is at step 19, and 60 s of
    # cooldown must have passed: home at step 22
    assert (span["start"], span["end"]) == (step_time(10), step_time(22))
    assert (span["trigger"], span["peaks"], span["replicas"]) == ("waiting", {"waiting": 3.0}, 3)
    assert found["totals"] == {
        "spans": 1,
        "active_seconds": 360.0,
        "missing_seconds": 0.0,
        "replicas_max": 3,
        "replica_hours": 0.283,
    }
    assert set(prometheus.queries) == {"max(up >= bool 0)", QUERY}


def test_a_value_at_the_activation_value_is_not_above_it(run, prometheus):
    prometheus.series = [({}, dict.fromkeys(range(61), 2))]
    at = POLICY.replace('threshold: "1"', 'threshold: "1"\n      activationThreshold: "2"')
    assert told(run("-o", "json", text=at))["spans"] == []
    below = POLICY.replace('threshold: "1"', 'threshold: "1"\n      activationThreshold: "1.999"')
    assert len(told(run("-o", "json", text=below))["spans"]) == 1


def test_an_empty_answer_is_zero_and_no_prometheus_is_missing(run, prometheus):
    prometheus.series = [({}, dict.fromkeys(range(10, 20), 2))]
    found = told(run("-o", "json"))
    assert found["totals"]["missing_seconds"] == 0
    assert found["spans"][0]["end"] == step_time(22)
    prometheus.down = range(15, 40)
    found = told(run("-o", "json"))
    # from step 15 on nothing is known: what runs goes on, until a value says otherwise
    assert found["totals"]["missing_seconds"] == 25 * 30
    (span,) = found["spans"]
    assert (span["start"], span["missing_seconds"]) == (step_time(10), 25 * 30.0)
    assert span["end"] == step_time(40)


def test_where_empty_answers_are_errors_they_are_missing(run, prometheus):
    prometheus.series = [({}, dict.fromkeys(range(10, 20), 2))]
    strict = POLICY.replace('threshold: "1"', 'threshold: "1"\n      ignoreNullValues: "false"')
    found = told(run("-o", "json", text=strict))
    assert found["totals"]["missing_seconds"] == 50 * 30
    assert found["spans"][0]["end"] == found["end"] == step_time(60)


def test_no_more_can_be_missing_or_asked_for_than_the_range_is_long(run, prometheus):
    prometheus.down = range(61)
    assert told(run("-o", "json"))["totals"]["missing_seconds"] == 60 * 30
    prometheus.down = range(0)
    prometheus.series = [({}, dict.fromkeys(range(61), 1))]
    found = told(run("-o", "json"))
    assert (found["totals"]["active_seconds"], found["totals"]["replica_hours"]) == (60 * 30.0, 0.5)


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf"])
def test_what_is_no_number_counts_as_an_empty_answer(run, prometheus, value):
    prometheus.series = [({}, {step: (2 if 10 <= step < 20 else value) for step in range(61)})]
    found = told(run("-o", "json"))
    assert found["totals"]["missing_seconds"] == 0
    assert [(span["start"], span["end"]) for span in found["spans"]] == [(step_time(10), step_time(22))]


def test_a_negative_value_is_none(run, prometheus):
    prometheus.series = [({}, dict.fromkeys(range(61), -5))]
    assert told(run("-o", "json"))["spans"] == []


def test_a_series_may_take_over_from_another_but_not_stand_beside_it(run, prometheus):
    first, second = {"pod": "a"}, {"pod": "b"}
    prometheus.series = [(first, dict.fromkeys(range(30), 1)), (second, dict.fromkeys(range(30, 61), 1))]
    assert len(told(run("-o", "json"))["spans"]) == 1
    prometheus.series = [(first, {5: 1}), (second, {5: 1})]
    code, out, err = run()
    assert (code, out) == (2, "")
    assert 'the query of trigger waiting gives more than one series, for example {pod="b"}' in err


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (400, b'{"status":"error","error":"parse error"}', "check the address and the query"),
        (401, b"who are you", "give a token that may query it"),
        (403, b"not you", "give a token that may query it"),
        (200, b"<html>", "does not answer as a Prometheus does"),
    ],
)
def test_what_goes_wrong_is_told(run, prometheus, status, body, words):
    prometheus.status, prometheus.body = status, body
    code, out, err = run()
    assert (code, out) == (2, "")
    assert words in err


def test_nobody_there(run):
    code, _, err = run(url="http://127.0.0.1:1")
    assert code == 2
    assert "can't be reached" in err


def test_a_token_is_sent(run, prometheus, tmp_path):
    (tmp_path / "token").write_text("secret\n")
    assert run("--token-file", tmp_path / "token")[0] == 0
    assert prometheus.tokens == {"Bearer secret"}


def test_the_table_and_what_was_left_out(run, prometheus):
    prometheus.series = [({}, {step: (3 if 10 <= step < 20 else 0) for step in range(61)})]
    prometheus.down = range(50, 52)
    code, out, err = run(text=POLICY.replace("  maxReplicaCount", "  when: pending.count > 0\n  maxReplicaCount"))
    assert (code, err) == (0, "")
    assert step_time(10) in out
    assert "bank/classic over 30m: 1 span, 6m in all, at most 3 replicas, 0.28 replica hours." in out
    assert "Values were missing for 1m: nothing begins or ends by a missing value." in out
    assert "Left out: when: what it depends on is not on record, so it is taken to hold." in out
    prometheus.series = []
    assert run()[1].startswith("It would never have fired.\n")


def test_the_page_and_the_samples(run, prometheus, tmp_path):
    prometheus.series = [({}, {step: (3 if 10 <= step < 20 else 0) for step in range(61)})]
    code, _, err = run("--out", tmp_path / "out")
    assert code == 0
    assert err.count("written") == 2
    lines = (tmp_path / "out" / "backtest.csv").read_text().splitlines()
    assert lines[0] == "time,waiting,active,in_force,replicas"
    assert lines[11:13] == [f"{step_time(10)},3,1,1,1", f"{step_time(11)},3,1,1,3"]
    assert len(lines) == 62
    page = (tmp_path / "out" / "backtest.html").read_text()
    assert "<title>bank/classic: when it would have fired</title>" in page
    assert "Plotly.newPlot" in page
    assert 'src="http' not in page
    code, _, err = run("--out", tmp_path / "policy.yaml" / "below")
    assert code == 2
    assert "can't be written" in err


def test_cron_and_windows_count_too(run, prometheus):
    prometheus.series = [({}, dict.fromkeys(range(61), 1))]
    windows = '  windows: [{timezone: UTC, start: "5 12 * * *", end: "10 12 * * *"}]\n  maxReplicaCount'
    found = told(run("-o", "json", text=POLICY.replace("  maxReplicaCount", windows)))
    # in force from 12:05 to 12:10, then a minute of cooldown
    assert [(span["start"], span["end"]) for span in found["spans"]] == [(step_time(10), step_time(22))]
    prometheus.series = []
    cron = (
        "  - {type: cron, name: lunch, metadata: {timezone: UTC, start: 5 12 * * *, end: 10 12 * * *, desiredReplicas: 2}}\n"
        "  maxReplicaCount"
    )
    found = told(run("-o", "json", text=POLICY.replace("  maxReplicaCount", cron)))
    assert found["triggers"] == ["waiting", "lunch"]
    assert [(span["start"], span["trigger"], span["replicas"]) for span in found["spans"]] == [
        (step_time(10), "lunch", 2)
    ]


def test_one_number_out_of_several_triggers(run, prometheus):
    prometheus.series = [({}, dict.fromkeys(range(61), 4))]
    composed = POLICY.replace(
        "  maxReplicaCount",
        '  advanced: {scalingModifiers: {formula: waiting / 2.0, target: "1", activationTarget: "1"}}\n  maxReplicaCount',
    )
    (span,) = told(run("-o", "json", text=composed))["spans"]
    assert (span["start"], span["replicas"]) == (step_time(0), 2)


@pytest.mark.parametrize(
    ("text", "arguments", "words"),
    [
        (
            POLICY.replace("classic", "a").replace("cloud-", "other-") + "---\n" + POLICY,
            (),
            "holds 2 policies: bank/a, bank/classic: name one by --policy",
        ),
        (POLICY, ("--policy", "other"), "holds no policy 'other'; there is bank/classic: name one by --policy"),
        (POLICY, ("--step", "10ms"), "--step is less than a second"),
        (POLICY, ("--step", "soon"), "is no duration"),
        (POLICY, ("--days", "0"), "Invalid value for '--days'"),
        (POLICY, ("--until", "yesterday"), "is no time: write for example"),
        (POLICY, ("--until", "2026-12-24T18:00"), "has no time zone"),
    ],
)
def test_a_question_that_makes_no_sense_is_not_asked(run, prometheus, text, arguments, words):
    code, out, err = run(*arguments, text=text)
    assert (code, out) == (2, "")
    assert words in err
    assert prometheus.queries == []


def test_a_policy_without_a_query_has_nothing_to_ask(run, prometheus):
    pending = (
        "apiVersion: burster.dev/v1alpha1\nkind: BurstPolicy\nmetadata: {name: p}\nspec:\n  workload: {kind: Job}\n"
    )
    code, _, err = run(text=f"{pending}  placement: {{targets: [east]}}\n")
    assert code == 2
    assert "policy default/p has no prometheus trigger, so there is nothing to ask a Prometheus for" in err
    assert prometheus.queries == []


def test_a_long_range_is_asked_for_in_pieces_that_prometheus_accepts(run, prometheus):
    prometheus.series = [({}, {25_000: 1})]
    found = told(run("-o", "json", steps=25_000))
    assert len(prometheus.queries) == 6
    assert [span["start"] for span in found["spans"]] == [step_time(25_000)]
