"""What is written comes back, stays, and is found again: in a file and in PostgreSQL alike."""

import pytest

from burster.ledger import LedgerUnwritableError, StaleEpochError
from burster.model.decisions import Decision, Reason
from burster.model.errors import InputError
from burster.model.pods import Pod
from burster.model.stimuli import PodLeft, PodSeen, Spend, StatusWritten, Tick


def a_decision(subject="bank/batch-1", *, at_ms=1_000, verdict="Burst", policy="bank/classic", burst="", code="Demand"):
    reason = Reason(code=code, sentence=f"{subject} is pending.", numbers={"b": 2, "a": 1})
    return Decision(at_ms=at_ms, verdict=verdict, policy=policy, subject=subject, burst=burst, reasons=(reason,))


def a_spend(burst="bank/b-1", uid="u-1", micro_usd=100, at_ms=5_000):
    return Spend(burst=burst, uid=uid, policy="bank/classic", target="azure", at_ms=at_ms, micro_usd=micro_usd)


def a_pod_seen(name="batch-1"):
    return PodSeen(pod=Pod(namespace="bank", name=name, uid="u-pod", unschedulable_since_ms=1))


def test_steps_come_back_as_they_were_written(place):
    with place.open() as ledger:
        assert ledger.append_step(1_000, [a_pod_seen(), Tick(kind="evaluate")], [a_decision()], [a_spend()]) == 1
        assert ledger.append_step(1_001, [], []) == 2
        assert ledger.append_step(1_002, [], [a_decision("bank/ä"), a_decision("bank/b")]) == 3
    with place.read() as ledger:
        first, second, third = ledger.steps()
        assert (first.step, first.run, first.at_ms) == (1, 1, 1_000)
        assert first.stimuli == (a_pod_seen(), Tick(kind="evaluate"))
        assert first.decisions == (a_decision(),)
        assert (second.stimuli, second.decisions) == ((), ())
        assert [decision.subject for decision in third.decisions] == ["bank/ä", "bank/b"]
        assert ledger.spend() == (a_spend(),)
        assert ledger.span_ms() == (1_000, 1_002)
        assert ledger.counts() == {"steps": 3, "stimuli": 2, "decisions": 3, "spend": 1}
        assert ledger.verdicts() == {("Burst", "Demand"): 3}
        assert ledger.subjects() == ("bank/b", "bank/batch-1", "bank/classic", "bank/ä")
        assert ledger.policies() == ("bank/classic",)
        assert ledger.integrity() == ()


@pytest.mark.parametrize(
    ("filters", "want"),
    [
        ({}, "abcd"),
        ({"policy": "bank/p"}, "abd"),
        ({"subject": "bank/b"}, "b"),
        ({"burst": "bank/burst-1"}, "c"),
        ({"verdict": "Deny"}, "d"),
        ({"since": 30}, "cd"),
        ({"limit": 2}, "cd"),
        ({"policy": "bank/p", "limit": 1}, "d"),
    ],
)
def test_decisions_are_found_by(place, filters, want):
    with place.open() as ledger:
        ledger.append_step(10, [], [a_decision("bank/a", at_ms=10, policy="bank/p")])
        ledger.append_step(20, [], [a_decision("bank/b", at_ms=20, policy="bank/p")])
        ledger.append_step(30, [], [a_decision("bank/c", at_ms=30, policy="bank/q", burst="bank/burst-1")])
        ledger.append_step(40, [], [a_decision("bank/d", at_ms=40, policy="bank/p", verdict="Deny")])
        assert "".join(one.subject[-1] for one in ledger.decisions(**filters)) == want


def test_stimuli_are_found_by_what_they_are_about(place):
    left = PodLeft(namespace="bank", name="batch-1", uid="u-pod", why="Bound")
    with place.open() as ledger:
        ledger.append_step(1, [a_pod_seen(), a_pod_seen("batch-2"), StatusWritten(key="bank/b", phase="Serving")], [])
        ledger.append_step(9, [left], [])
        assert [(one.at_ms, one.stimulus) for one in ledger.stimuli(subject="bank/batch-1")] == [
            (1, a_pod_seen()),
            (9, left),
        ]
        assert [one.stimulus.phase for one in ledger.stimuli(kinds=["StatusWritten"])] == ["Serving"]


def test_a_burst_that_was_settled_twice_counts_once_with_the_larger_amount(place):
    with place.open() as ledger:
        ledger.append_step(1, [], [], [a_spend(micro_usd=100), a_spend("bank/b-2", "u-2", 7)])
        ledger.append_step(2, [], [], [a_spend(micro_usd=130, at_ms=6_000)])
        assert [(one.burst, one.micro_usd) for one in ledger.spend()] == [("bank/b-1", 130), ("bank/b-2", 7)]


def test_each_opening_is_a_new_run_and_numbers_go_on(place):
    for epoch in (1, 2):
        with place.open(policy_hash=f"h{epoch}", epoch=epoch) as ledger:
            ledger.append_step(epoch, [Tick(kind="gc")], [])
    with place.read() as ledger:
        assert [(step.step, step.run) for step in ledger.steps()] == [(1, 1), (2, 2)]
        assert (ledger.meta()["epoch"], ledger.meta()["policy_hash"]) == ("2", "h2")


def test_a_reader_sees_what_a_writer_has_committed_so_far(place):
    with place.open() as ledger, place.read() as reader:
        assert reader.decisions() == ()
        ledger.append_step(1, [], [a_decision()])
        assert len(reader.decisions()) == 1


def test_half_a_step_is_rolled_back(place):
    with place.open() as ledger:
        with pytest.raises(LedgerUnwritableError):
            ledger.append_step(1, [Tick(kind="gc")], [a_decision()], [a_spend(micro_usd=2**70)])
        assert ledger.append_step(2, [Tick(kind="evaluate")], []) == 1
        assert ledger.counts() == {"steps": 1, "stimuli": 1, "decisions": 0, "spend": 0}
        assert ledger.integrity() == ()


COLUMN = {
    "steps": "run",
    "stimuli": "at_ms",
    "decisions": "at_ms",
    "spend": "micro_usd",
    "carried": "micro_usd",
    "meta": "run",
    "opening": "run",
    "seal": "at_ms",
}


@pytest.mark.parametrize("table", COLUMN)
@pytest.mark.parametrize("change", ["DELETE FROM {0}", "UPDATE {0} SET {1} = 9"])
def test_what_is_written_stays(place, table, change):
    with place.open() as ledger:
        ledger.append_step(1, [Tick(kind="gc")], [a_decision()], [a_spend()])
        ledger.rotate(2, b"state")
        with pytest.raises(place.refusals, match="append-only"):
            place.execute(change.format(table, COLUMN[table]), segment=2 if table == "carried" else 1)


def test_a_writer_is_refused_once_a_later_one_has_begun(place):
    with place.open(epoch=3) as old:
        old.append_step(1, [Tick(kind="gc")], [])
        with place.open(epoch=4) as new:
            new.append_step(2, [Tick(kind="gc")], [])
            with pytest.raises(StaleEpochError):
                old.append_step(3, [], [a_decision()])
            with pytest.raises(StaleEpochError):
                old.rotate(3, b"state")
            assert new.append_step(4, [Tick(kind="gc")], []) == 3
    with place.read() as ledger:
        assert ledger.decisions() == ()
        assert ledger.integrity() == ()


def test_an_older_epoch_cannot_begin(place):
    with place.open(epoch=4):
        pass
    with pytest.raises(StaleEpochError, match="epoch 4"):
        place.open(epoch=3)
    with place.open(epoch=4) as ledger:
        assert ledger.append_step(1, [], []) == 1


def test_where_there_is_no_ledger_it_is_said_so(place):
    with pytest.raises(InputError, match="there is no ledger here"):
        place.read()


def a_note(code: str, policy: str = "bank/classic", **numbers: int) -> Decision:
    reason = Reason(code=code, sentence="It was so.", numbers=numbers)
    return Decision(
        at_ms=5, verdict="Note", policy=policy, subject="bank/cloud", kind="Deployment", burst="", reasons=(reason,)
    )


def test_what_a_dry_run_decided_and_settled_is_told_and_counts_for_nothing(place):
    with place.open(dry_run=True) as ledger:
        ledger.append_step(1, [], [a_decision(burst="bank/b-1"), a_note("OriginalNoted", original=7)], [a_spend()])
        assert ledger.meta()["dry_run"] == "true"
    with place.open() as ledger:
        assert "dry_run" not in ledger.meta()
        assert (ledger.spend(), ledger.decided_bursts(0), ledger.originals(0)) == ((), (), ())
        ledger.append_step(
            5, [], [a_decision(burst="bank/b-2"), a_note("OriginalNoted", original=3)], [a_spend("bank/b-2", "u-2")]
        )
    with place.open(dry_run=True) as ledger:
        ledger.append_step(9, [], [a_note("OriginalRestored")], [a_spend("bank/b-3", "u-3")])
        assert ledger.rotate(10, b"state") == (2, ())
        ledger.append_step(11, [], [a_decision(burst="bank/b-4")], [a_spend("bank/b-4", "u-4")])
    with place.read() as ledger:
        assert len(ledger.decisions()) == 6, "all of it is there to be read"
        assert ledger.integrity() == ()
        assert [one.uid for one in ledger.spend()] == ["u-2"]
        assert ledger.decided_bursts(0) == ("bank/b-2",)
        assert [one.replicas for one in ledger.originals(0)] == [3]


def test_the_latest_original_of_each_policy_counts_until_it_is_restored(place):
    with place.open() as ledger:
        ledger.append_step(1, [], [a_note("OriginalNoted", original=3), a_note("OriginalNoted", "bank/b", original=1)])
        ledger.append_step(2, [], [a_note("OriginalRestored")])
        assert [(one.policy, one.replicas) for one in ledger.originals(0)] == [("bank/b", 1)]
        ledger.append_step(3, [], [a_note("OriginalNoted", original=5)])
        assert [(one.policy, one.replicas) for one in ledger.originals(0)] == [("bank/b", 1), ("bank/classic", 5)]
        assert ledger.originals(6) == (), "older than that"
