"""Each step is chained to all before it: whatever is changed by force, the first step that is not as it was written is named."""

import pytest

from tests.contract.ledger.test_keeping import a_decision, a_pod_seen, a_spend


def written(place, steps=5):
    with place.open() as ledger:
        for number in range(1, steps + 1):
            ledger.append_step(number, [a_pod_seen()], [a_decision()], [a_spend(uid=f"u-{number}")])
        return ledger.head


@pytest.mark.parametrize(
    ("table", "statement", "want"),
    [
        ("steps", "UPDATE steps SET at_ms = 99 WHERE step = 3", "the chain breaks at step 3"),
        ("steps", "UPDATE steps SET sha256 = (SELECT sha256 FROM steps WHERE step = 1) WHERE step = 3", "step 3"),
        ("spend", "UPDATE spend SET micro_usd = 1 WHERE step = 2", "the chain breaks at step 2"),
        ("spend", "UPDATE spend SET policy = 'bank/other' WHERE step = 4", "the chain breaks at step 4"),
        ("spend", "DELETE FROM spend WHERE step = 2", "step 2 recorded 1 spend"),
        ("decisions", "DELETE FROM decisions WHERE step = 5", "step 5 recorded 1 decisions"),
        ("decisions", "UPDATE decisions SET subject = 'bank/x' WHERE step = 2", "record 2 of decisions is found under"),
        ("stimuli", "UPDATE stimuli SET kind = 'Tick' WHERE step = 2", "record 2 of stimuli is found under"),
        ("meta", "UPDATE meta SET value = 'forged' WHERE key = 'policy_hash'", "the chain breaks at step 1"),
        ("opening", "UPDATE opening SET at_ms = 7", "the chain breaks at the beginning of"),
    ],
)
def test_a_change_is_found_and_its_first_step_named(place, table, statement, want):
    written(place)
    place.tamper(table, statement)
    with place.read() as ledger:
        (problem,) = ledger.integrity()
    assert want in problem


def test_a_changed_body_is_found_also_where_it_still_decodes(place):
    written(place)
    with place.open() as ledger:
        ledger.append_step(6, [], [a_decision(verdict="Burst", code="Demand")])
        ledger.append_step(7, [], [a_decision(verdict="Burst", code="Demand", at_ms=1_001)])
    # the same index, another sentence: only the hash can tell
    place.tamper(
        "decisions",
        "UPDATE decisions SET at_ms = 1001, body = (SELECT body FROM decisions WHERE step = 7) WHERE step = 6",
    )
    with place.read() as ledger:
        assert ledger.integrity() == ("the chain breaks at step 6: it, or a hash, was changed after it was written",)


def test_who_knows_the_last_hash_knows_whether_the_end_was_cut_off(place):
    step, sha256 = written(place)
    assert (step, len(sha256)) == (5, 64)
    for table in ("stimuli", "decisions", "spend", "steps"):
        place.tamper(table, f"DELETE FROM {table} WHERE step = 5")  # noqa: S608 - fixed names
    with place.read() as ledger:
        assert ledger.integrity() == ()
        assert ledger.head != (step, sha256)


def test_the_same_steps_have_the_same_hashes_wherever_they_are_kept(tmp_path, server):
    from tests.contract.ledger.conftest import InAFile, InPostgres

    assert written(InAFile(tmp_path / "ledger.sqlite")) == written(InPostgres(server))
