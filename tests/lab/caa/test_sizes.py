"""CAA's choice of a VM size: its rules, its texts, and its flaw."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burster.lab.caa.sizes import Size, SizeError, Wanted, choose_size, known_sizes


VCPUS = (2, 4, 8, 16, 32, 48, 64, 96, 128)
DC = [Size(name=f"DC{n}es_v6", vcpus=n, memory_mib=n * 4096) for n in VCPUS]
EC = [Size(name=f"EC{n}es_v6", vcpus=n, memory_mib=n * 8192) for n in VCPUS[:7]]
EVERYTHING = [*DC, *EC]


def _choose(wanted, sizes, *, region=EVERYTHING, default="Standard_DC2as_v5"):
    allowed = tuple(size.name if isinstance(size, Size) else size for size in sizes)
    return choose_size(wanted, known_sizes(region, allowed, default), allowed, default)


def _fit(vcpus, gib, sizes):
    return _choose(Wanted(vcpus=vcpus, memory_mib=gib * 1024), sizes)


@pytest.mark.parametrize(
    ("wanted", "want"),
    [
        pytest.param(Wanted(machine_type="EC8es_v6", vcpus=2, memory_mib=1), "EC8es_v6", id="the machine type decides"),
        pytest.param(Wanted(vcpus=5, memory_mib=1024), "DC8es_v6", id="the smallest that fits"),
        pytest.param(Wanted(vcpus=2), "Standard_DC2as_v5", id="vCPUs alone give the default, an SNP size"),
        pytest.param(Wanted(memory_mib=90_000), "Standard_DC2as_v5", id="so does memory alone"),
        pytest.param(Wanted(), "Standard_DC2as_v5", id="and nothing at all"),
        pytest.param(Wanted(gpus=1, machine_type="DC2es_v6"), "DC2es_v6", id="a GPU with a machine type goes through"),
    ],
)
def test_what_decides(wanted, want):
    assert _choose(wanted, DC + EC[:3]) == want


@pytest.mark.parametrize(
    ("wanted", "allowed", "text"),
    [
        pytest.param(
            Wanted(machine_type="M1"),
            ["DC2es_v6"],
            'failed to verify instance type: requested instance type ("M1") is not part of supported instance types list',
            id="not allowed",
        ),
        pytest.param(
            Wanted(machine_type="M1"),
            [],
            'failed to verify instance type: requested instance type ("M1") is not default ("Standard_DC2as_v5")'
            " and supported instance types list is empty",
            id="no list, not the default",
        ),
        pytest.param(
            Wanted(vcpus=200, memory_mib=1),
            ["DC2es_v6", "DC4es_v6"],
            "failed to get instance type based on vCPU and memory annotations: no instance type found for the given"
            " vcpus (200) and memory (1)",
            id="too large",
        ),
        pytest.param(
            Wanted(gpus=1, vcpus=2, memory_mib=4096),
            [size.name for size in EVERYTHING],
            "failed to get instance type based on GPU, vCPU, and memory annotations: no instance type found for the given"
            " GPUs (1), vCPUs (2), and memory (4096)",
            id="no Azure size is known to have a GPU",
        ),
    ],
)
def test_what_it_says_when_nothing_fits(wanted, allowed, text):
    with pytest.raises(SizeError) as caught:
        _choose(wanted, allowed)
    assert str(caught.value) == text


def test_a_mixed_list_is_searched_wrongly():
    pair = [DC[5], EC[4]]
    assert [size.name for size in pair] == ["DC48es_v6", "EC32es_v6"]
    with pytest.raises(SizeError):
        _fit(40, 64, pair)  # DC48es_v6 would do
    with pytest.raises(SizeError):
        _fit(80, 64, [DC[7], EC[6]])  # DC96es_v6 would do
    assert _fit(33, 64, EVERYTHING) == "DC64es_v6", "DC48es_v6 would do for less"


@given(vcpus=st.integers(1, 64), gib=st.integers(1, 256), shape=st.sampled_from([DC, EC]))
def test_a_list_of_one_shape_is_searched_rightly(vcpus, gib, shape):
    best = min((s for s in shape if s.vcpus >= vcpus and s.memory_mib >= gib * 1024), key=lambda s: s.memory_mib)
    assert _fit(vcpus, gib, shape) == best.name


def test_names_the_region_lacks_vanish_and_blanks_are_part_of_a_name():
    assert known_sizes(DC, ("DC2es_v6", " DC4es_v6", "XX"), "d") == (DC[0],)
    assert known_sizes(DC, (), "DC8es_v6") == (DC[2],)
