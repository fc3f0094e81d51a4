"""A token is never sent in the clear, and never left out by mistake."""

import pytest
from azure.core.credentials import AccessToken

from burster.clients.arm import Arm, ArmSettings, link
from burster.model.errors import InputError, RemoteError
from burster.model.targets import Target


TARGET = Target(name="t", subscription="s", resource_group="rg", region="eastus")


@pytest.mark.parametrize(
    ("base_url", "auth", "want"),
    [
        ("http://management.azure.com", "workload-identity", "plain http"),
        ("http://127.0.0.1:8080", "default", "plain http"),
        ("http://management.azure.com", "none", "needs a login"),
        ("https://management.azure.com", "none", "needs a login"),
        ("http://127.0.0.1.evil.example", "none", "needs a login"),
        ("http://localhost@evil.example", "none", "needs a login"),
        ("management.azure.com", "default", "no URL"),
        ("ftp://127.0.0.1", "none", "no URL"),
    ],
)
def test_an_unsafe_way_is_refused_before_anything_is_sent(base_url, auth, want):
    with pytest.raises(InputError, match=want):
        Arm(ArmSettings(base_url=base_url, auth=auth))


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1", "https://127.0.0.1:1"])
async def test_a_stand_in_on_this_machine_needs_no_login(url):
    async with Arm(ArmSettings(base_url=url, auth="none")):
        pass


async def test_a_login_that_is_not_set_up_says_so(monkeypatch):
    for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_FEDERATED_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    async with Arm(ArmSettings(auth="workload-identity")) as arm:
        with pytest.raises(RemoteError, match="no login by workload-identity") as raised:
            await arm.get_vm(TARGET, "x")
    assert raised.value.kind == "Unauthorized"


async def test_a_credential_is_asked_for_the_endpoints_own_scope_and_closed(monkeypatch):
    class Credential:
        scopes: tuple[str, ...] = ()
        closed = False

        async def get_token(self, *scopes, **_):
            self.scopes = scopes
            return AccessToken("secret", 2**40)

        async def close(self):
            self.closed = True

    credential = Credential()
    monkeypatch.setattr(link, "new_credential", lambda settings, transport: credential)
    async with Arm(ArmSettings(base_url="https://127.0.0.1:9/", auth="managed-identity")) as arm:
        with pytest.raises(RemoteError) as raised:
            await arm.get_vm(TARGET, "x")
    assert raised.value.kind == "Unreachable"
    assert credential.scopes == ("https://127.0.0.1:9/.default",)
    assert credential.closed


async def test_closing_twice_does_no_harm():
    arm = Arm(ArmSettings(base_url="http://127.0.0.1:1", auth="none"))
    await arm.aclose()
    await arm.aclose()
