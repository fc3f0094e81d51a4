import csv
import json

import msgspec
import pytest
import yaml

from burster.ledger import Ledger
from burster.model import stimuli
from burster.model.decisions import Decision
from burster.model.policies import Placement, Policy, WorkloadSelector
from tests.cli.conftest import START_MS, a_decision


def test_why_tells_the_whole_story_of_a_pod(burster, run_dir):
    code, out, err = burster("why", "bank/batch-7", "--run", run_dir)
    assert (code, err) == (0, "")
    told = [
        "no node takes it: 0/3 nodes are available",
        "Wait by bank/classic",
        "PolicyBudget: $0.5000 would have to be reserved",
        "wanted $0.5000, used $0.9000, limit $1.0000",
        "What would change it: A burst that settles for less",
        "Burst at azure/westeurope/Standard_DC2es_v6 by bank/classic",
        "pending 1m",
        "Reserved: $0.5000 are set aside.",
        "Release by bank/classic",
        "now Released, cost $0.1234",
        "the Burst is recorded",
        "VM podvm-1 (Standard_DC2es_v6) is Succeeded",
        "phase Serving",
        "the cloud confirms that no VM is there",
        "settled for $0.1234",
    ]
    positions = [out.find(text) for text in told]
    assert -1 not in positions, [text for text, position in zip(told, positions, strict=True) if position < 0]
    assert positions == sorted(positions)
    assert out.count("VM podvm-1") == 1


def test_a_name_alone_is_enough_and_a_burst_can_be_asked_about_too(burster, run_dir):
    whole = burster("why", "bank/batch-7", "--run", run_dir)
    assert burster("why", "batch-7", "--run", run_dir) == whole
    code, out, _ = burster("why", "burst-batch-7", "--run", run_dir)
    assert code == 0
    assert "Its demand has been gone" in out


def test_why_of_a_policy_counts_its_verdicts(burster, run_dir):
    code, out, _ = burster("why", "classic", "--run", run_dir)
    assert code == 0
    assert "Policy bank/classic: 1 bursts, $0.1234 settled" in out
    assert "NoSizeFits" in out
    assert "No allowed size has 200 cpu [really]." in out


def test_why_as_json(burster, run_dir):
    code, out, _ = burster("why", "batch-7", "--run", run_dir, "-o", "json")
    answer = json.loads(out)
    assert code == 0
    assert answer["about"] == "bank/batch-7"
    assert [decision["verdict"] for decision in answer["decisions"]] == ["Wait", "Burst", "Release"]
    (burst,) = answer["bursts"]
    assert (burst["phase"], burst["settled_micro_usd"], burst["vms"]) == ("Released", 123_400, ["podvm-1"])
    assert len(burst["life"]) == 8


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        pytest.param("bach-7", "did you mean bank/batch-7", id="a near match"),
        pytest.param("bank/batch-77", "did you mean bank/batch-7", id="a near match with its namespace"),
        pytest.param("zzz", "burster history lists what was decided", id="nothing near"),
    ],
)
def test_a_name_nobody_knows(burster, run_dir, name, sentence):
    code, out, err = burster("why", name, "--run", run_dir)
    assert (code, out) == (1, "")
    assert sentence in err
    assert err.count("\n") == 1


def test_history_lists_decisions_in_order(burster, run_dir):
    code, out, _ = burster("history", "--run", run_dir)
    assert code == 0
    assert [word for word in out.split() if word in {"Wait", "Burst", "Deny", "Release"}] == [
        "Wait",
        "Burst",
        "Deny",
        "Release",
    ]
    assert "[really]" in out


@pytest.mark.parametrize(
    ("flags", "want"),
    [
        pytest.param([], ["Wait", "Burst", "Deny", "Release"], id="all"),
        pytest.param(["--limit", "1"], ["Release"], id="the latest"),
        pytest.param(["--policy", "classic", "--limit", "2"], ["Deny", "Release"], id="of a policy"),
        pytest.param(["--since", "6m"], ["Burst", "Deny", "Release"], id="the last so much time"),
    ],
)
def test_history_as_json(burster, run_dir, flags, want):
    code, out, _ = burster("history", "--run", run_dir, "-o", "json", *flags)
    assert code == 0
    assert [decision["verdict"] for decision in json.loads(out)] == want


def test_a_story_that_no_engine_told_does_not_verify(burster, run_dir):
    code, _, err = burster("history", "--verify", "--run", run_dir)
    assert code == 1
    assert (
        "step 1 decided otherwise at decision 1: recorded Wait (PolicyBudget) for bank/batch-7, replayed nothing" in err
    )


def test_spend(burster, run_dir):
    code, out, _ = burster("spend", "--run", run_dir)
    assert code == 0
    assert "$0.1234 for 1 bursts" in out
    document = json.loads(burster("spend", "--run", run_dir, "-o", "json")[1])
    assert (document["total_micro_usd"], document["unsettled"]) == (123_400, 0)
    assert document["rows"][0]["policy"] == "bank/classic"
    assert document["rows"][0]["settled_micro_usd"] == 123_400


def test_status_shows_how_things_stood(burster, run_dir):
    (run_dir / "summary.json").write_text(
        '{"leaks": 0, "invariants": [{"name": "tidy", "ok": false, "detail": "a VM is left"}]}'
    )
    code, out, _ = burster("status", "--run", run_dir)
    assert code == 0
    for shown in (
        "on-prem, 3 nodes",
        "92%",
        "1 pending",
        "bank/batch-8",
        "1 Released",
        "$0.1234 settled",
        "tidy: a VM is left",
    ):
        assert shown in out
    document = json.loads(burster("status", "--run", run_dir, "-o", "json")[1])
    assert document["status"]["bursts_by_phase"] == {"Released": 1}
    assert document["summary"]["leaks"] == 0
    assert [Decision(**{**one, "reasons": ()}).verdict for one in document["status"]["decisions"]][-1] == "Release"


@pytest.mark.parametrize("command", [["why", "x"], ["status"], ["history"], ["spend"]])
def test_without_a_run_the_cluster_is_asked_and_here_is_none(burster, command, monkeypatch):
    monkeypatch.delenv("KUBECONFIG", raising=False)
    code, out, err = burster(*command)
    assert (code, out) == (2, "")
    assert (
        err == "burster: there is no kubeconfig at ~/.kube/config: name one with --kubeconfig FILE, or set KUBECONFIG\n"
    )


def test_what_was_decided_can_be_verified_only_of_a_run(burster):
    code, out, err = burster("history", "--verify")
    assert (code, out) == (2, "")
    assert "burster history --verify reads a finished run: name its directory with --run DIR" in err


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["why", "x", "--run", "DIR", "--server", "http://127.0.0.1:1"], "leave --server"),
        (["status", "--server", "http://127.0.0.1:1", "--context", "c"], "leave --kubeconfig and --context out"),
        (["status", "--run", "DIR", "--watch"], "does not change any more"),
        (["spend", "--run", "DIR", "--by", "colour"], "can't group by 'colour'"),
        (["spend", "--run", "DIR", "--by", ""], "group by one or more"),
        (["spend", "--run", "DIR", "--timezone", "Mars"], "'Mars' is no time zone"),
        (["spend", "--run", "DIR", "--from", "yesterday"], "'yesterday' is no day"),
        (["spend", "--run", "DIR", "--since", "soon"], "soon"),
        (["spend", "--watch", "-o", "csv"], "one heading"),
        (["status", "--server", "ftp://x"], "is no address of a controller"),
        (["status", "--server", "http://me:secret@x:1"], "must not carry a password"),
    ],
)
def test_options_that_make_no_sense_together(burster, run_dir, command, says):
    code, out, err = burster(*(str(run_dir) if word == "DIR" else word for word in command))
    assert (code, out) == (2, "")
    assert says in err
    assert "secret" not in err


def test_spend_by_day_as_a_sheet(burster, run_dir):
    code, out, _ = burster(
        "spend", "--run", run_dir, "--by", "day,namespace", "-o", "csv", "--timezone", "Asia/Kathmandu"
    )
    assert code == 0
    assert out.splitlines() == [
        "day,timezone,namespace,policy,target,settled_bursts,settled_usd,open_bursts,reserved_usd,running_usd",
        "2027-01-15,Asia/Kathmandu,bank,,,1,0.123400,0,0.000000,0.000000",
    ]


def test_yaml_says_what_json_says(burster, run_dir):
    for command in (["why", "batch-7"], ["status"], ["history"], ["spend"]):
        code, out, _ = burster(*command, "--run", run_dir, "-o", "yaml")
        assert code == 0
        assert yaml.safe_load(out) == json.loads(burster(*command, "--run", run_dir, "-o", "json")[1])


def test_history_as_a_sheet_and_of_one_namespace(burster, run_dir):
    code, out, _ = burster("history", "--run", run_dir, "-o", "csv")
    assert code == 0
    rows = list(csv.DictReader(out.splitlines()))
    assert [row["verdict"] for row in rows] == ["Wait", "Burst", "Deny", "Release"]
    assert rows[2]["reason"] == "No allowed size has 200 cpu [really]."
    assert json.loads(burster("history", "--run", run_dir, "-o", "json", "-n", "shop")[1]) == []


def test_a_name_in_two_namespaces_has_to_be_said_in_full(burster, tmp_path):
    directory = tmp_path / "two"
    directory.mkdir()
    with Ledger.open(directory / "ledger.sqlite", seed=7, policy_hash="p") as ledger:
        twins = [a_decision("Deny", f"{where}/batch", "NoSizeFits", "No size.", at_ms=0) for where in ("bank", "shop")]
        ledger.append_step(START_MS, [], twins, [])
    code, out, err = burster("why", "batch", "--run", directory)
    assert (code, out) == (1, "")
    assert "'batch' is the name of 2 things in this run: bank/batch, shop/batch; say which, as NAMESPACE/NAME" in err
    assert burster("why", "batch", "-n", "shop", "--run", directory)[0] == 0


def test_words_of_others_do_not_move_the_cursor(burster, tmp_path):
    directory = tmp_path / "hostile"
    directory.mkdir()
    with Ledger.open(directory / "ledger.sqlite", seed=7, policy_hash="p") as ledger:
        nasty = a_decision("Deny", "bank/x", "NoSizeFits", "red \x1b[31mred\x1b]0;title\x07 \u202eback", at_ms=0)
        ledger.append_step(START_MS, [], [nasty], [])
    for command in (["why", "bank/x"], ["history"]):
        out = burster(*command, "--run", directory)[1]
        assert "red \\x1b[31mred" in out
        assert not {"\x1b", "\x07", "\u202e"} & set(out)


@pytest.mark.parametrize("command", [["why", "x"], ["status"], ["history"], ["spend"]])
class TestWhatIsNoRun:
    def test_no_directory(self, burster, command, tmp_path):
        code, _, err = burster(*command, "--run", tmp_path / "nothing")
        assert code == 2
        assert "is no directory" in err

    def test_a_directory_without_a_ledger(self, burster, command, tmp_path):
        code, _, err = burster(*command, "--run", tmp_path)
        assert code == 2
        assert "there is no ledger here" in err

    def test_a_ledger_that_is_none(self, burster, command, tmp_path):
        (tmp_path / "ledger.sqlite").write_text("once upon a time" * 20)
        code, _, err = burster(*command, "--run", tmp_path)
        assert code == 2
        assert "it is no SQLite file" in err
        assert err.count("\n") == 1


def test_why_a_policy_tells_the_whole_chain_as_it_stood_at_the_end(burster, tmp_path):
    directory = tmp_path / "chained"
    directory.mkdir()
    policy = Policy(
        namespace="bank", name="tasks", workload=WorkloadSelector(), placement=Placement(targets=("azure",))
    )
    facts = [
        stimuli.PolicySeen(policy=policy),
        *(stimuli.SourceSynced(source=name) for name in ("pods", "policies", "targets", "bursts", "cloud-pods")),
    ]
    decision = a_decision("Deny", "bank/task-1", "TargetMissing", "There is no valid BurstTarget azure.", at_ms=0)
    with Ledger.open(directory / "ledger.sqlite", seed=7, policy_hash="p") as ledger:
        ledger.append_step(START_MS, facts, [msgspec.structs.replace(decision, policy="bank/tasks")], [])
    code, out, _ = burster("why", "tasks", "--run", directory)
    assert code == 0
    assert "The whole chain at the end of the run:" in out
    assert "There is no valid BurstTarget azure." in out.split("The whole chain")[1]
    code, out, _ = burster("why", "tasks", "--run", directory, "-o", "json")
    chain = json.loads(out)["chain"]
    assert [link["check"] for link in chain][:4] == ["Ledger", "Drain", "InForce", "Breaker"]
    assert [(link["check"], link["holds"]) for link in chain if not link["holds"]] == [
        ("Demand", False),
        ("Target", False),
    ]
