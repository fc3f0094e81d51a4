"""Tags of machines: what is written can be read again, by anybody, and nothing that Azure would refuse is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burster.model.machine_tags import LEASE_TAG, UID_TAG, format_lease_end, read_lease_end, read_tag, tag_value


@given(st.integers(min_value=0, max_value=4_000_000_000_000))
def test_a_lease_end_is_read_back_to_the_second_and_never_earlier(at_ms: int) -> None:
    read = read_lease_end({LEASE_TAG: format_lease_end(at_ms)})
    assert read is not None
    assert 0 <= read - at_ms < 1_000


@pytest.mark.parametrize("text", ["", "soon", "2026-11-22", "2026-13-22T00:00:00Z", "2026-11-22T13:08:00+01:00"])
def test_a_lease_end_that_nobody_can_read_is_none(text: str) -> None:
    assert read_lease_end({LEASE_TAG: text}) is None


def test_a_tag_is_found_in_whatever_case_azure_gives_it_back() -> None:
    assert read_tag({"Burster-UID": "u-1"}, UID_TAG) == "u-1"
    assert read_tag({}, UID_TAG) == ""


@given(st.text())
def test_every_value_is_short_and_printable(text: str) -> None:
    value = tag_value(text)
    assert len(value) <= 256
    assert value.isascii()
    assert value.isprintable() or not value
