"""Tags of machines: what is written can be read again, by anybody, and nothing that Azure would refuse is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burster.model.tags import LEASE_END_TAG, UID_TAG, lease_end_ms, read_tag, tag_value


@given(st.integers(min_value=0, max_value=4_000_000_000_000))
def test_a_lease_end_is_read_back(at_ms: int) -> None:
    assert lease_end_ms({LEASE_END_TAG: str(at_ms)}) == at_ms


@pytest.mark.parametrize("text", ["", "soon", "-5", "1e3", "\uff11\uff12", "2026-11-22", "99999999999999"])
def test_a_lease_end_that_makes_no_sense_is_none(text: str) -> None:
    assert lease_end_ms({LEASE_END_TAG: text}) is None


def test_a_tag_is_found_in_whatever_case_azure_gives_it_back() -> None:
    assert read_tag({"Burster-UID": "u-1"}, UID_TAG) == "u-1"
    assert read_tag({}, UID_TAG) == ""


@given(st.text())
def test_every_value_is_short_and_printable(text: str) -> None:
    value = tag_value(text)
    assert len(value) <= 256
    assert all(" " <= character <= "~" for character in value)
