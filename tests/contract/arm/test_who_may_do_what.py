"""Tokens and roles: what is refused, in which order, in ARM's words."""

from email.utils import parsedate_to_datetime

import pytest

from burster.lab.arm import ArmConfig, Role, Tokens
from burster.lab.lockstep import LAB_EPOCH_MS


@pytest.mark.parametrize(
    ("header", "want"),
    [
        pytest.param("", "AuthenticationFailed", id="none"),
        pytest.param("Basic abc", "AuthenticationFailedInvalidHeader", id="no bearer"),
        pytest.param("Bearer old", "ExpiredAuthenticationToken", id="too old"),
        pytest.param("Bearer strange", "InvalidAuthenticationToken", id="somebody else's"),
    ],
)
def test_without_a_good_token_nothing_is_told(lab, header, want):
    async def story(world):
        named = {"Authorization": header} if header else {}
        answer = await world.call("GET", world.vm_path("podvm-a"), **named)
        assert (answer.status, answer.code) == (401, want)
        assert answer.headers["WWW-Authenticate"].startswith('Bearer authorization_uri="https://login.')
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
        good = await world.call("GET", world.vm_path("podvm-a"), Authorization="Bearer good")
        assert good.code == "ResourceNotFound"
        prices = await world.call("GET", f"{world.server.url}/api/retail/prices")
        assert prices.status == 200

    lab(story, config=ArmConfig(tokens=Tokens(valid=("good",), expired=("old",))))


def test_a_missing_right_is_named_with_its_scope(lab):
    async def story(world):
        await world.made("podvm-a")
        world.server.reconfigure(roles=(Role(actions=("*/read",)),))
        assert (await world.get("podvm-a")).status == 200
        refused = await world.put("podvm-b")
        assert (refused.status, refused.code) == (403, "AuthorizationFailed")
        assert (
            "does not have authorization to perform action 'Microsoft.Compute/virtualMachines/write' over scope "
            f"'/subscriptions/{world.subscription}/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/podvm-b'"
        ) in refused.message
        assert "'Microsoft.Compute/virtualMachines/delete'" in (await world.delete("podvm-a")).message
        assert set(world.server.vms) == {"podvm-a"}

    lab(story)


def test_a_subnet_one_may_not_join_is_the_linked_scope(lab):
    async def story(world):
        refused = await world.put("podvm-a")
        assert (refused.status, refused.code) == (403, "LinkedAuthorizationFailed")
        assert "Microsoft.Network/virtualNetworks/subnets/join/action" in refused.message
        assert world.server.leaks() == ()

    lab(story, config=ArmConfig(roles=(Role(actions=("Microsoft.Compute/*",)),)))


def test_an_exception_takes_away_what_a_wildcard_gives_in_its_own_role_only(lab):
    async def story(world):
        assert (await world.get("podvm-a")).status == 403
        world.server.reconfigure(roles=(*world.server.config.roles, Role(actions=("microsoft.compute/*/READ",))))
        assert (await world.get("podvm-a")).status == 404

    lab(story, config=ArmConfig(roles=(Role(not_actions=("Microsoft.Compute/virtualMachines/read",)),)))


def test_each_answer_carries_the_labs_date_and_a_request_id(lab):
    async def story(world):
        answers = [await world.get("podvm-a"), await world.get("podvm-a")]
        dates = [parsedate_to_datetime(answer.headers["Date"]).timestamp() * 1000 for answer in answers]
        assert {date - 600_000 for date in dates} == {LAB_EPOCH_MS // 1000 * 1000}
        assert len({answer.headers["x-ms-request-id"] for answer in answers}) == 2

    lab(story, config=ArmConfig(clock_skew_ms=600_000))
