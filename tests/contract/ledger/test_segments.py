"""Segments: sealed and begun in one go, read as one ledger, replayed from their snapshots, removed without budgets forgetting."""

import sqlite3

import pytest

from burster.engine import initial_state, snapshot, step
from burster.ledger import Rotation
from burster.ledger.replay import replay
from burster.ledger.rotation import CARRIED_MS, DAY_MS
from burster.model import stimuli as s
from burster.model.bursts import Burst
from tests.contract.ledger.test_keeping import a_decision, a_spend
from tests.support.builders import T0, a_pod, a_policy, a_target, an_offering


def fill(ledger, first, last):
    for number in range(first, last + 1):
        ledger.append_step(
            number, [s.Tick(kind="gc")], [a_decision(f"bank/{number}", at_ms=number)], [a_spend(uid=f"u-{number}")]
        )


def test_segments_are_read_as_one_ledger(place):
    with place.open() as ledger:
        fill(ledger, 1, 3)
        assert ledger.rotate(4, b"state") == (2, ())
        fill(ledger, 4, 6)
        assert ledger.rotate(7, b"state") == (3, ())
        fill(ledger, 7, 7)
        whole = ledger.head
    with place.read() as reader:
        assert [one.step for one in reader.steps()] == [1, 2, 3, 4, 5, 6, 7]
        assert [one.subject for one in reader.decisions(limit=3)] == ["bank/5", "bank/6", "bank/7"]
        assert [one.subject for one in reader.decisions(since=3)] == [f"bank/{n}" for n in (3, 4, 5, 6, 7)]
        assert len(list(reader.stimuli())) == 7
        assert [one.uid for one in reader.spend()] == [f"u-{n}" for n in range(1, 8)]
        assert reader.counts() == dict.fromkeys(("steps", "stimuli", "decisions", "spend"), 7)
        assert reader.verdicts() == {("Burst", "Demand"): 7}
        assert reader.span_ms() == (1, 7)
        assert reader.integrity() == ()
        assert reader.head == whole


def test_a_reader_that_is_there_already_sees_the_next_segment(place):
    with place.open() as ledger, place.read() as reader:
        fill(ledger, 1, 2)
        assert reader.counts()["steps"] == 2
        ledger.rotate(3, b"state")
        fill(ledger, 3, 5)
        assert reader.counts()["steps"] == 5
        assert reader.integrity() == ()


def test_a_sealed_segment_takes_nothing_any_more(place):
    with place.open() as ledger:
        fill(ledger, 1, 2)
        ledger.rotate(3, b"state")
    # who is no root can't even open a sealed file for writing
    with pytest.raises((*place.refusals, sqlite3.OperationalError), match=r"is sealed|readonly"):
        place.execute("INSERT INTO seal (step, at_ms, sha256) SELECT step + 1, at_ms, sha256 FROM seal")
    with place.read() as reader:
        assert reader.counts()["steps"] == 2


def test_a_writer_goes_on_in_the_newest_segment(place):
    with place.open(epoch=1) as ledger:
        fill(ledger, 1, 2)
        ledger.rotate(3, b"state")
    with place.open(epoch=2) as ledger:
        assert ledger.append_step(4, [], []) == 3
        assert ledger.rotate(5, b"state") == (3, ())
        assert ledger.append_step(6, [], []) == 4
        assert ledger.integrity() == ()
        assert [(one.step, one.run) for one in ledger.steps()] == [(1, 1), (2, 1), (3, 2), (4, 2)]


@pytest.mark.parametrize(
    ("segment", "table", "statement", "want"),
    [
        (1, "steps", "UPDATE steps SET at_ms = 99 WHERE step = 2", "the chain breaks at step 2"),
        (2, "steps", "UPDATE steps SET at_ms = 99 WHERE step = 4", "the chain breaks at step 4"),
        (2, "carried", "UPDATE carried SET micro_usd = 0 WHERE uid = 'u-1'", "the chain breaks at the beginning of"),
        (1, "seal", "UPDATE seal SET sha256 = (SELECT sha256 FROM opening)", "was sealed at step 3 with another hash"),
        (
            2,
            "opening",
            "UPDATE opening SET previous = (SELECT sha256 FROM steps WHERE step = 4)",
            "does not follow from",
        ),
    ],
)
def test_the_chain_goes_on_over_segments(place, segment, table, statement, want):
    with place.open() as ledger:
        fill(ledger, 1, 3)
        ledger.rotate(4, b"state")
        fill(ledger, 4, 5)
    place.tamper(table, statement, segment=segment)
    with place.read() as reader:
        (problem,) = reader.integrity()
    assert want in problem


def test_old_segments_go_and_what_budgets_need_stays(place):
    bounds = Rotation(keep_segments=2, keep_ms=0)
    now = 2 * CARRIED_MS
    with place.open(rotation=bounds) as ledger:
        ledger.append_step(now, [], [], [a_spend(uid="long ago", at_ms=now - CARRIED_MS - 1)])
        ledger.append_step(now, [], [], [a_spend(uid="a month ago", at_ms=now - 31 * DAY_MS, micro_usd=7)])
        assert ledger.rotate(now + 1, b"state") == (2, ())
        ledger.append_step(now + 2, [], [], [a_spend(uid="a month ago", at_ms=now - 31 * DAY_MS, micro_usd=9)])
        assert ledger.rotate(now + 3, b"state") == (3, ())
        assert len(ledger.spend()) == 2
        assert ledger.rotate(now + 4, b"state") == (4, (1,))
        assert ledger.rotate(now + 5, b"state") == (5, (2,))
        ledger.append_step(now + 6, [], [], [a_spend(uid="new", at_ms=now + 6)])
    with place.read() as reader:
        assert {one.uid: one.micro_usd for one in reader.spend()} == {"a month ago": 9, "new": 100}
        assert [one.step for one in reader.steps()] == [4]
        assert reader.integrity() == ()
    with place.open(epoch=1) as ledger:
        assert ledger.append_step(now + 7, [], []) == 5
        assert {one.uid for one in ledger.spend()} == {"a month ago", "new"}


def test_a_segment_is_kept_for_so_long_and_no_longer(place):
    with place.open(rotation=Rotation(keep_segments=0, keep_ms=1_000)) as ledger:
        fill(ledger, 1, 1)
        assert ledger.rotate(5_000, b"state") == (2, ())
        assert ledger.rotate(6_000, b"state") == (3, ())
        assert ledger.rotate(6_001, b"state") == (4, (1,))


def test_a_clock_that_jumps_costs_no_more_than_one_segment_and_no_money(place):
    with place.open(rotation=Rotation(keep_segments=0, keep_ms=400 * DAY_MS)) as ledger:
        for number in range(1, 5):
            fill(ledger, number, number)
            ledger.rotate(number, b"state")
        years = 3_000 * DAY_MS
        assert ledger.rotation_due(years)
        assert ledger.rotate(years, b"state") == (6, (1,))
        ledger.append_step(years, [], [], [a_spend(uid="in the future", at_ms=years)])
        # and back
        ledger.append_step(10, [], [], [a_spend(uid="u-5", at_ms=10)])
        assert not ledger.rotation_due(11)
        assert ledger.rotation_due(11 + 30 * DAY_MS)
        ledger.rotate(12, b"state")
        assert {"u-2", "u-3", "u-4", "u-5", "in the future"} <= {one.uid for one in ledger.spend()}
        assert ledger.integrity() == ()


def test_a_rotation_is_due_by_age_and_by_size(place):
    with place.open(rotation=Rotation(segment_ms=1_000, segment_bytes=0)) as ledger:
        fill(ledger, 1, 1)
        assert not ledger.rotation_due(1_000)
        assert ledger.rotation_due(1_001)
        ledger.rotate(1_001, b"state")
        assert not ledger.rotation_due(2_000)
        assert ledger.rotation_due(2_001)
    with place.open(rotation=Rotation(segment_ms=0, segment_bytes=1_000), epoch=1) as ledger:
        assert ledger.rotation_due(1)
    with place.open(rotation=Rotation(segment_ms=0, segment_bytes=10**9), epoch=2) as ledger:
        assert not ledger.rotation_due(1)


# -- replay, with the real engine --------------------------------------------------------------------------------------------


def a_day(ledger, state, *, steps, rotate_at=(), unrecorded=()):
    """Feed a small world to the engine and the ledger; return the state."""
    world = [
        s.PolicySeen(policy=a_policy()),
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        *(s.SourceSynced(source=name) for name in ("pods", "policies", "targets", "bursts", "cloud-pods")),
    ]
    lost = False
    for number in range(steps):
        now = T0 + number * 60_000
        facts = world if number == 0 else [s.PodSeen(pod=a_pod(f"p-{number}")), s.Tick(kind="evaluate")]
        result = step(state, facts, now)
        state = result.state
        for burst in list(state.bursts.values())[:1]:
            assert isinstance(burst.burst, Burst)
        if number in unrecorded:
            lost = True
            continue
        ledger.append_step(now, facts, result.decisions, snapshot=snapshot.dump(state) if lost else None)
        lost = False
        if number in rotate_at:
            ledger.rotate(now, snapshot.dump(state))
    return state


def verify(place):
    with place.read() as reader:
        assert reader.integrity() == ()
        return replay(reader, initial_state, step, snapshot.restore)


def test_each_segment_is_replayed_from_the_snapshot_at_its_beginning(place):
    with place.open(rotation=Rotation(keep_segments=1)) as ledger:
        a_day(ledger, initial_state(), steps=12, rotate_at=(3, 7))
    report = verify(place)
    assert (report.steps, report.skipped, report.difference) == (8, 0, None), "the first segment has been removed"
    assert report.decisions >= 8


def test_without_the_snapshot_such_a_segment_would_be_decided_otherwise(place):
    with place.open(rotation=Rotation(keep_segments=1)) as ledger:
        a_day(ledger, initial_state(), steps=12, rotate_at=(3, 7))
    with place.read() as reader:
        report = replay(reader, initial_state, step, lambda _: initial_state())
    assert report.difference is not None


def test_replay_goes_on_after_steps_that_could_not_be_written(place):
    with place.open() as ledger:
        a_day(ledger, initial_state(), steps=10, unrecorded=(4, 5, 6))
    report = verify(place)
    assert (report.steps, report.skipped, report.difference) == (6, 1, None)


def test_a_new_run_does_not_go_on_from_the_snapshot_of_the_one_before(place):
    with place.open(epoch=1) as ledger:
        a_day(ledger, initial_state(), steps=5, rotate_at=(4,))
    with place.open(epoch=2) as ledger:
        a_day(ledger, initial_state(), steps=5)
    report = verify(place)
    assert (report.runs, report.steps, report.difference) == (2, 10, None)
