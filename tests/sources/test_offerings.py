"""What a target offers is what ARM and the price list say of the sizes it names: nothing more, nothing left out."""

import pytest

from burster.clients.arm_facts import Sku
from burster.clients.prices import RegionPrices
from burster.model.errors import RemoteError
from burster.model.offerings import Quota
from burster.model.pods import Resources
from burster.model.targets import Target
from burster.sources.offerings import build_offerings, observe_offerings
from burster.sources.quota import observe_quota


BIG = Resources(cpu_millicores=4_000, memory_bytes=16 * 1024**3)
PRICES = RegionPrices(region="eastus", micro_usd_per_hour={"standard_a": 100, "standard_b": 200}, origin="retail")


def a_target(*sizes, assumed=None, tees=("TDX",)):
    return Target(
        name="t",
        subscription="s",
        resource_group="rg",
        region="eastus",
        sizes=sizes,
        tees=tees,
        assumed_price_micro_usd_per_hour=assumed,
    )


def a_sku(name, **facts):
    return Sku(**({"name": name, "family": "fam", "resources": BIG, "tee": "TDX", "zones": ("1", "2")} | facts))


def test_an_offering_joins_size_and_price():
    (offering,) = build_offerings(a_target("Standard_A"), [a_sku("Standard_A")], PRICES)
    assert (offering.key, offering.family, offering.tee, offering.zones) == (
        "t/eastus/Standard_A",
        "fam",
        "TDX",
        ("1", "2"),
    )
    assert (offering.resources, offering.price_micro_usd_per_hour, offering.restricted) == (BIG, 100, "")


@pytest.mark.parametrize(
    ("size", "assumed", "want"),
    [
        pytest.param("Standard_A", 999, 100, id="a known price beats an assumed one"),
        pytest.param("Standard_Z", 999, None, id="an assumed price is the engine's to take, undiscounted"),
        pytest.param("Standard_Z", None, None, id="an unknown price stays unknown"),
    ],
)
def test_prices_are_known_assumed_or_unknown(size, assumed, want):
    (offering,) = build_offerings(a_target(size, assumed=assumed), [a_sku(size)], PRICES)
    assert offering.price_micro_usd_per_hour == want


def test_only_the_targets_sizes_are_listed_in_its_order_and_once():
    skus = [a_sku("Standard_A"), a_sku("Standard_B"), a_sku("Standard_C")]
    offerings = build_offerings(a_target("standard_B", "Standard_A", "STANDARD_b"), skus, PRICES)
    assert [offering.size for offering in offerings] == ["Standard_B", "Standard_A"]


def test_what_can_not_be_used_is_listed_with_its_reason():
    skus = [a_sku("Standard_A", restricted="QuotaId"), a_sku("Standard_B", tee="SNP")]
    offerings = build_offerings(a_target("Standard_A", "Standard_B", "Standard_Gone"), skus, PRICES)
    told = {offering.size: (offering.tee, offering.restricted) for offering in offerings}
    assert told == {
        "Standard_A": ("TDX", "QuotaId"),
        "Standard_B": ("SNP", ""),
        "Standard_Gone": ("None", "not offered in eastus"),
    }


class Fake:
    """A cloud that answers, or does not."""

    def __init__(self, answer=None, error=None):
        self.answer, self.error = answer, error

    async def _give(self):
        if self.error:
            raise self.error
        return self.answer

    async def skus(self, _):
        return await self._give()

    async def usages(self, _):
        return await self._give()

    async def region_prices(self, _):
        return await self._give()


async def test_the_whole_is_one_stimulus():
    seen = await observe_offerings(a_target("Standard_A"), Fake([a_sku("Standard_A")]), Fake(PRICES))
    assert (seen.target, len(seen.offerings)) == ("t", 1)
    row = Quota(region="eastus", family="cores", used_vcpus=1, limit_vcpus=2)
    quota = await observe_quota(a_target("Standard_A"), Fake([row]))
    assert (quota.target, quota.rows) == ("t", (row,))


async def test_a_failure_is_raised_and_never_turned_into_an_empty_list():
    broken = Fake(error=RemoteError("Unavailable", "no"))
    for what in (
        observe_offerings(a_target("Standard_A"), broken, Fake(PRICES)),
        observe_offerings(a_target("Standard_A"), Fake([]), Fake(PRICES)),
        observe_quota(a_target("Standard_A"), broken),
    ):
        with pytest.raises(RemoteError):
            await what


async def test_without_prices_the_sizes_are_told_and_why_nobody_knows_what_they_cost():
    broken = Fake(error=RemoteError("Protocol", "the answer is an HTML page"))
    seen = await observe_offerings(a_target("Standard_A"), Fake([a_sku("Standard_A")]), broken)
    assert seen.prices_problem == "the answer is an HTML page"
    assert [(one.size, one.price_micro_usd_per_hour) for one in seen.offerings] == [("Standard_A", None)]


async def test_the_age_of_the_prices_goes_along():
    old = RegionPrices(
        region="eastus",
        micro_usd_per_hour={"standard_a": 100},
        origin="snapshot",
        as_of="2026-06-18",
        usable_ms=-5,
        problem="nobody there",
    )
    seen = await observe_offerings(
        a_target("Standard_A", "Standard_B"), Fake([a_sku("Standard_A"), a_sku("Standard_B")]), Fake(old)
    )
    assert (seen.prices_as_of, seen.prices_usable_ms, seen.prices_problem) == ("2026-06-18", -5, "nobody there")
    assert [one.price_as_of for one in seen.offerings] == ["2026-06-18", ""]


def test_a_size_that_may_be_spot_is_two_offerings():
    prices = RegionPrices(
        region="eastus",
        micro_usd_per_hour={"standard_a": 100},
        spot_micro_usd_per_hour={"standard_a": 20},
        origin="retail",
    )
    plain, spot = build_offerings(a_target("Standard_A"), [a_sku("Standard_A", spot_capable=True)], prices)
    assert (plain.key, plain.spot, plain.price_micro_usd_per_hour) == ("t/eastus/Standard_A", False, 100)
    assert (spot.key, spot.spot, spot.price_micro_usd_per_hour) == ("t/eastus/Standard_A/spot", True, 20)


def test_closed_zones_and_the_generation_are_told():
    sku = a_sku("Standard_A", zones=("1",), restricted_zones=("2", "3"), generation="V2")
    (offering,) = build_offerings(a_target("Standard_A"), [sku], PRICES)
    assert (offering.zones, offering.blocked_zones, offering.generation) == (("1",), ("2", "3"), "V2")


def test_what_the_list_says_in_place_of_a_price_is_told():
    prices = RegionPrices(
        region="eastus", micro_usd_per_hour={}, origin="retail", doubts={"standard_a": "-1 USD an hour"}
    )
    (offering,) = build_offerings(a_target("Standard_A"), [a_sku("Standard_A")], prices)
    assert (offering.price_micro_usd_per_hour, offering.price_problem) == (None, "-1 USD an hour")
