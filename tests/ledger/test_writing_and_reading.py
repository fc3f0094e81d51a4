import sqlite3
import stat

import pytest

from burster.ledger import Ledger, LedgerUnwritableError
from burster.model.decisions import Decision, Reason
from burster.model.errors import InputError
from burster.model.pods import Pod
from burster.model.stimuli import PodLeft, PodSeen, Spend, StatusWritten, Tick


def a_decision(subject="bank/batch-1", *, at_ms=1_000, verdict="Burst", policy="bank/classic", burst="", code="Demand"):
    return Decision(
        at_ms=at_ms,
        verdict=verdict,
        policy=policy,
        subject=subject,
        burst=burst,
        reasons=(Reason(code=code, sentence=f"{subject} is pending.", numbers={"b": 2, "a": 1}),),
    )


def a_spend(burst="bank/b-1", uid="u-1", micro_usd=100, at_ms=5_000):
    return Spend(burst=burst, uid=uid, policy="bank/classic", target="azure", at_ms=at_ms, micro_usd=micro_usd)


def a_pod_seen(name="batch-1"):
    return PodSeen(pod=Pod(namespace="bank", name=name, uid="u-pod", unschedulable_since_ms=1))


def test_a_step_comes_back_as_it_was_written(ledger):
    stimuli = (a_pod_seen(), Tick(kind="evaluate"))
    decision = a_decision()
    assert ledger.append_step(1_000, stimuli, [decision], [a_spend()]) == 1
    (step,) = ledger.steps()
    assert (step.step, step.run, step.at_ms) == (1, 1, 1_000)
    assert step.stimuli == stimuli
    assert step.decisions == (decision,)
    assert ledger.spend() == (a_spend(),)


def test_steps_without_stimuli_or_decisions_do_not_shift_the_others(ledger):
    ledger.append_step(1, [], [a_decision("bank/a")])
    ledger.append_step(2, [a_pod_seen()], [])
    ledger.append_step(3, [], [])
    ledger.append_step(4, [Tick(kind="gc")], [a_decision("bank/b"), a_decision("bank/c")])
    shapes = [(len(step.stimuli), [d.subject for d in step.decisions]) for step in ledger.steps()]
    assert shapes == [(0, ["bank/a"]), (1, []), (0, []), (1, ["bank/b", "bank/c"])]
    assert ledger.integrity() == ()


@pytest.mark.parametrize(
    ("filters", "want"),
    [
        pytest.param({}, ["a", "b", "c", "d"], id="everything"),
        pytest.param({"policy": "bank/p"}, ["a", "b", "d"], id="of one policy"),
        pytest.param({"subject": "bank/b"}, ["b"], id="on one pod"),
        pytest.param({"burst": "bank/burst-1"}, ["c"], id="about one burst"),
        pytest.param({"verdict": "Deny"}, ["d"], id="of one verdict"),
        pytest.param({"since": 30}, ["c", "d"], id="since a moment"),
        pytest.param({"limit": 2}, ["c", "d"], id="the latest ones, oldest first"),
        pytest.param({"policy": "bank/p", "limit": 1}, ["d"], id="filters combine"),
        pytest.param({"policy": "elsewhere/p"}, [], id="nothing matches"),
    ],
)
def test_decisions_are_found_by(ledger, filters, want):
    ledger.append_step(10, [], [a_decision("bank/a", at_ms=10, policy="bank/p")])
    ledger.append_step(20, [], [a_decision("bank/b", at_ms=20, policy="bank/p")])
    ledger.append_step(30, [], [a_decision("bank/c", at_ms=30, policy="bank/q", burst="bank/burst-1")])
    ledger.append_step(40, [], [a_decision("bank/d", at_ms=40, policy="bank/p", verdict="Deny")])
    assert [decision.subject.removeprefix("bank/") for decision in ledger.decisions(**filters)] == want


def test_stimuli_are_found_by_what_they_are_about(ledger):
    left = PodLeft(namespace="bank", name="batch-1", uid="u-pod", why="Bound")
    ledger.append_step(1, [a_pod_seen(), a_pod_seen("batch-2"), StatusWritten(key="bank/b-1", phase="Serving")], [])
    ledger.append_step(9, [left], [])
    assert [(r.at_ms, r.stimulus) for r in ledger.stimuli(subject="bank/batch-1")] == [(1, a_pod_seen()), (9, left)]
    assert [r.stimulus.phase for r in ledger.stimuli(kinds=["StatusWritten"])] == ["Serving"]


def test_a_burst_that_was_settled_twice_counts_once_with_the_larger_amount(ledger):
    ledger.append_step(1, [], [], [a_spend(micro_usd=100), a_spend("bank/b-2", "u-2", 7)])
    ledger.append_step(2, [], [], [a_spend(micro_usd=130, at_ms=6_000)])
    assert [(spend.burst, spend.micro_usd) for spend in ledger.spend()] == [("bank/b-1", 130), ("bank/b-2", 7)]


def test_the_hash_covers_every_decision_in_order_and_nothing_else(tmp_path):
    def hash_of(name, steps):
        with Ledger.open(tmp_path / name) as ledger:
            for at_ms, stimuli, decisions in steps:
                ledger.append_step(at_ms, stimuli, decisions)
            return ledger.decisions_sha256()

    one, two = a_decision("bank/a"), a_decision("bank/b")
    want = hash_of("1", [(1, [], [one, two])])
    assert hash_of("2", [(1, [Tick(kind="gc")], [one]), (2, [], [two])]) == want
    assert hash_of("3", [(1, [], [two, one])]) != want
    assert hash_of("4", [(1, [], [one])]) != want


def test_each_opening_is_a_new_run_and_numbers_go_on(path):
    for seed in (1, 2):
        with Ledger.open(path, seed=seed, policy_hash=f"h{seed}") as ledger:
            ledger.append_step(seed, [Tick(kind="gc")], [])
    with Ledger.read(path) as ledger:
        assert [(step.step, step.run) for step in ledger.steps()] == [(1, 1), (2, 2)]
        assert (ledger.meta()["seed"], ledger.meta()["policy_hash"]) == ("2", "h2")
        assert ledger.counts() == {"steps": 2, "stimuli": 2, "decisions": 0, "spend": 0}


def test_a_reader_sees_what_a_writer_has_committed_so_far(ledger, path):
    with Ledger.read(path) as reader:
        assert reader.decisions() == ()
        ledger.append_step(1, [], [a_decision()])
        assert len(reader.decisions()) == 1


@pytest.mark.parametrize("table", ["steps", "stimuli", "decisions", "spend", "meta"])
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "UPDATE {} SET rowid = rowid + 1"])
def test_what_is_written_stays(ledger, path, table, statement):
    ledger.append_step(1, [Tick(kind="gc")], [a_decision()], [a_spend()])
    other = sqlite3.connect(path)
    try:
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            other.execute(statement.format(table))
    finally:
        other.close()


def test_a_step_that_cannot_be_written_raises_and_leaves_nothing(ledger, path):
    ledger.append_step(1, [Tick(kind="gc")], [])
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(LedgerUnwritableError, match=r"can't be written \(database is locked\)"):
            ledger.append_step(2, [Tick(kind="gc")], [a_decision()])
    finally:
        blocker.execute("ROLLBACK")
        blocker.close()
    assert ledger.append_step(3, [Tick(kind="gc")], []) == 2
    assert ledger.integrity() == ()


def test_half_a_step_is_rolled_back(ledger):
    unencodable = a_spend(micro_usd=2**70)
    with pytest.raises(LedgerUnwritableError, match="too large"):
        ledger.append_step(1, [Tick(kind="gc")], [a_decision()], [unencodable])
    with pytest.raises(AttributeError):
        ledger.append_step(1, [Tick(kind="gc")], [a_decision(), None])
    ledger.append_step(2, [Tick(kind="evaluate")], [])
    assert ledger.counts() == {"steps": 1, "stimuli": 1, "decisions": 0, "spend": 0}


def test_a_folder_that_is_a_file_cannot_hold_a_ledger(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerUnwritableError, match="give it a writable folder"):
        Ledger.open(tmp_path / "file" / "ledger.sqlite")


def test_a_closed_ledger_is_one_plain_file_and_reading_leaves_nothing(ledger, path):
    ledger.append_step(1, [], [a_decision()])
    ledger.close()
    ledger.close()
    with Ledger.read(path) as reader:
        assert len(reader.decisions()) == 1
    assert [file.name for file in path.parent.iterdir()] == ["ledger.sqlite"]


def test_a_ledger_whose_writer_died_is_read_all_the_same(ledger, path, tmp_path):
    ledger.append_step(1, [], [a_decision()])
    (tmp_path / "copy").mkdir()
    for name in ("ledger.sqlite", "ledger.sqlite-wal"):
        (tmp_path / "copy" / name).write_bytes((path.parent / name).read_bytes())
    with Ledger.read(tmp_path / "copy/ledger.sqlite") as reader:
        assert len(reader.decisions()) == 1
    with Ledger.open(tmp_path / "copy/ledger.sqlite") as writer:
        assert writer.append_step(2, [], []) == 2


def test_reading_where_nothing_may_be_written(ledger, path):
    ledger.append_step(1, [], [a_decision()])
    ledger.close()
    path.parent.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with Ledger.read(path) as reader:
            assert len(reader.decisions()) == 1
    finally:
        path.parent.chmod(stat.S_IRWXU)


def make_foreign(path):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.commit()
    connection.close()


def make_newer(path):
    Ledger.open(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        pytest.param(lambda path: None, "there is no ledger here", id="nothing there"),
        pytest.param(lambda path: path.mkdir(), "is a folder", id="a folder"),
        pytest.param(lambda path: path.write_text("x" * 200), "it is no SQLite file", id="a text file"),
        pytest.param(lambda path: path.write_bytes(b""), "is not a ledger", id="an empty file"),
        pytest.param(make_foreign, "a file of something else", id="somebody else's database"),
        pytest.param(make_newer, "this ledger has schema 99", id="a newer schema"),
    ],
)
def test_what_is_no_ledger_is_said_so(path, make, sentence):
    make(path)
    with pytest.raises(InputError, match=sentence):
        Ledger.read(path)


@pytest.mark.parametrize("make", [make_foreign, make_newer, lambda path: path.write_text("x" * 200)])
def test_what_is_no_ledger_is_never_written(path, make):
    make(path)
    before = path.read_bytes()
    with pytest.raises(InputError):
        Ledger.open(path)
    assert path.read_bytes() == before


def test_damage_is_found(ledger, path):
    ledger.append_step(1, [Tick(kind="gc")], [a_decision()])
    ledger.append_step(2, [Tick(kind="gc")], [a_decision()])
    vandal = sqlite3.connect(path)
    vandal.executescript("DROP TRIGGER decisions_delete; DELETE FROM decisions WHERE id = 1;")
    vandal.executescript("DROP TRIGGER stimuli_update; UPDATE stimuli SET body = x'00' WHERE id = 2;")
    vandal.close()
    assert ledger.integrity() == ("step 1 recorded 1 decisions, the file holds 0",)
    vandal = sqlite3.connect(path)
    vandal.executescript(
        "INSERT INTO decisions SELECT 1, 1, at_ms, policy, subject, verdict, code, burst, body FROM decisions"
    )
    vandal.close()
    assert [problem.split(":")[0] for problem in ledger.integrity()] == ["record 2 of stimuli can't be decoded"]
