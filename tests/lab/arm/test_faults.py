"""Faults strike where and as often as they were told to, and random ones in the same places whatever the order."""

import pytest

from burster.lab.arm.errors import ArmError
from burster.lab.arm.faults import Dropped, Fault, Faults, known_fault, strike


@pytest.mark.parametrize(
    ("fault", "asked", "want"),
    [
        pytest.param(Fault(operation="GetVm"), {"name": "a"}, True, id="everything"),
        pytest.param(Fault(operation="PutVm"), {"name": "a"}, False, id="another operation"),
        pytest.param(Fault(operation="GetVm", name="podvm-.*"), {"name": "podvm-x"}, True, id="name pattern"),
        pytest.param(Fault(operation="GetVm", name="podvm"), {"name": "podvm-x"}, False, id="pattern is for the whole name"),
        pytest.param(Fault(operation="GetVm", size="standard_dc2es_V6"), {"size": "Standard_DC2es_v6"}, True, id="size in any case"),
        pytest.param(Fault(operation="GetVm", region="eastus"), {"region": "westus"}, False, id="another region"),
        pytest.param(Fault(operation="GetVm", times=0), {}, False, id="used up"),
    ],
)  # fmt: skip
def test_a_fault_strikes_where_it_was_told_to(fault, asked, want):
    assert (Faults(1, (fault,)).take("GetVm", **asked) is not None) == want


def test_a_counted_fault_strikes_that_often_and_the_next_one_follows():
    faults = Faults(1, (Fault(operation="GetVm", code="First", times=2), Fault(operation="GetVm", code="Second")))
    taken = [faults.take("GetVm", name="a") for _ in range(4)]
    assert [fault.code if fault else None for fault in taken] == ["First", "First", "Second", None]
    assert [code for _, _, code in faults.taken] == ["First", "First", "Second"]
    faults.add(Fault(operation="GetVm", times=None))
    faults.clear()
    assert faults.take("GetVm", name="a") is None


def test_random_faults_do_not_depend_on_the_order_of_requests():
    fault = Fault(operation="Provision", code="AllocationFailed", probability=0.3, times=None)
    names = [f"podvm-{number}" for number in range(300)]

    def struck(order, seed=7):
        faults = Faults(seed, (fault,))
        return {name for name in order if faults.take("Provision", name=name)}

    assert struck(names) == struck(names[::-1])
    assert 60 < len(struck(names)) < 120
    assert struck(names) != struck(names, seed=8)


def test_a_random_fault_draws_anew_for_each_try_of_the_same_name():
    faults = Faults(7, (Fault(operation="GetVm", probability=0.5, times=None),))
    tries = [faults.take("GetVm", name="a") is not None for _ in range(40)]
    assert True in tries
    assert False in tries


def test_known_faults_speak_arms_words():
    faults = Faults(1, (known_fault("SkuNotAvailable"),))
    with pytest.raises(
        ArmError, match="Restrictions: Standard_X' is currently not available in location 'eastus'"
    ) as raised:
        strike(faults.take("PutVm", size="Standard_X", region="eastus"))
    assert (raised.value.status, raised.value.code) == (409, "SkuNotAvailable")
    with pytest.raises(KeyError):
        known_fault("NeverHeardOf")


def test_effects_come_before_or_after_the_deed():
    with pytest.raises(Dropped):
        strike(Fault(operation="PutVm", effect="DropBefore"))
    after = Fault(operation="PutVm", effect="DropAfter")
    assert strike(after) is after
    assert strike(None) is None
