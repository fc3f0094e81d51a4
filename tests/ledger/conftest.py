import pytest

from burster.ledger import Ledger


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def ledger(path):
    with Ledger.open(path, seed=7, policy_hash="abc") as opened:
        yield opened
