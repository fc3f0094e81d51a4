"""A ledger that is not as it was written is not gone on with: what a budget would be told must not be a guess."""

import pytest

from burster.model.errors import InputError
from tests.contract.ledger.test_keeping import a_decision, a_pod_seen, a_spend


REFUSED = r"the ledger is damaged \(.*{}.*\), so nothing is decided by it. `burster history --verify` says more. Put back a copy"


def written(place, steps=400):
    with place.open() as ledger:
        for number in range(1, steps + 1):
            spends = [a_spend(uid=f"u-{number}")] if number % 7 == 0 else []
            ledger.append_step(number, [a_pod_seen()], [a_decision()], spends)
            if number == steps // 2:
                ledger.rotate(number, b"state")


@pytest.mark.parametrize(
    ("segment", "table", "statement", "why"),
    [
        (1, "spend", "UPDATE spend SET micro_usd = 1 WHERE step = 14", "the chain breaks at step 14"),
        (2, "spend", "UPDATE spend SET at_ms = 0 WHERE step = 203", "the chain breaks at step 203"),
        (1, "spend", "DELETE FROM spend WHERE step = 21", "the chain breaks at step 21"),
        (1, "steps", "DELETE FROM steps WHERE step = 28", "1 of the steps 28 to 28 are missing"),
        (2, "steps", "DELETE FROM steps WHERE step = 398", "the chain breaks at step 399"),
        (2, "decisions", "UPDATE decisions SET body = (SELECT body FROM stimuli LIMIT 1) WHERE step = 395", "the chain breaks at step 395"),
        (2, "carried", "UPDATE carried SET micro_usd = 0", "the chain breaks at the beginning of"),
        (2, "opening", "UPDATE opening SET step = 100", "the chain breaks at the beginning of"),
    ],
)  # fmt: skip
def test_what_was_changed_by_force_is_found_before_anything_is_decided_by_it(place, segment, table, statement, why):
    written(place)
    place.tamper(table, statement, segment=segment)
    with pytest.raises(InputError, match=REFUSED.format(why)):
        place.open()
    # it can still be looked at
    with place.read() as ledger:
        assert ledger.integrity()


def test_a_whole_one_is_gone_on_with(place):
    written(place)
    with place.open() as ledger:
        assert ledger.append_step(401, [], []) == 401
        assert ledger.integrity() == ()
