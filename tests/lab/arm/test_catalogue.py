"""The sizes and prices are those of the published tables."""

import pytest

from burster.lab.arm.catalogue import REGIONS, SERIES, families_in, find_size, price_micro_usd_per_hour, sizes_in


@pytest.mark.parametrize(
    ("region", "series", "want_usd"),
    [
        ("eastus", "Standard_DC{}es_v6", (0.101, 0.202, 0.403, 0.806)),
        ("westus3", "Standard_DC{}es_v6", (0.101, 0.202, 0.403, 0.806)),
        ("eastus", "Standard_DC{}eds_v6", (0.125, 0.249, 0.498, 0.997)),
        ("eastus", "Standard_EC{}es_v6", (0.132, 0.265, 0.529, 1.058)),
        ("eastus", "Standard_EC{}eds_v6", (0.164, 0.327, 0.654, 1.308)),
        ("eastus2", "Standard_DC{}es_v5", (0.096, 0.192, 0.384, 0.768)),
        ("eastus2", "Standard_DC{}eds_v5", (0.113, 0.226, 0.452, 0.904)),
        ("eastus2", "Standard_EC{}es_v5", (0.126, 0.252, 0.504, 1.008)),
        ("eastus2", "Standard_EC{}eds_v5", (0.144, 0.288, 0.576, 1.152)),
        ("westeurope", "Standard_DC{}es_v6", (0.121, 0.242, 0.483)),
        ("westeurope", "Standard_DC{}es_v5", (0.115, 0.230, 0.460)),
    ],
)
def test_prices_match_the_table(region, series, want_usd):
    for vcpus, usd in zip((2, 4, 8, 16), want_usd, strict=False):
        assert price_micro_usd_per_hour(region, find_size(series.format(vcpus))) == round(usd * 1_000_000)


def test_the_pair_that_a_guide_recommends_by_mistake_is_not_sold():
    assert "Standard_DC2es_v6" not in {size.name for size in sizes_in("eastus2")}
    assert price_micro_usd_per_hour("eastus2", find_size("Standard_DC2es_v6")) is None


def test_the_confidential_gpu_costs_what_the_list_says():
    gpu = find_size("standard_ncc40ADS_h100_v5")
    assert (gpu.vcpus, gpu.memory_mib, gpu.gpus, gpu.tee) == (40, 320 * 1024, 1, "SNP")
    assert price_micro_usd_per_hour("eastus2", gpu) == 8_820_000


def test_tdx_families_are_named_as_azure_names_them_and_not_by_the_series():
    assert {series.family for series in SERIES if series.tee == "TDX"} == {
        f"standard{shape}V{generation}Family" for shape in ("DCE", "DCED", "ECE", "ECED") for generation in (5, 6)
    }


def test_every_region_sells_something_confidential_in_a_family_of_its_own():
    for region in REGIONS:
        assert any(size.tee == "TDX" for size in sizes_in(region)) or region not in {
            "eastus",
            "westeurope",
            "centralus",
        }
        assert set(families_in(region)) == {size.family for size in sizes_in(region)}


def test_nobody_sells_an_unknown_size():
    assert find_size("Standard_Nonsense") is None
