"""The whole way over TLS: a login stand-in and an ARM behind an authority of one's own, asked as an identity for workloads is."""

import ssl
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from burster.clients.arm import Arm, ArmSettings
from burster.model.errors import RemoteError
from burster.model.targets import Target
from tests.support.certificates import Authority


TARGET = Target(name="t", subscription="s", resource_group="rg", region="eastus")
ASSERTION = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJidXJzdGVyIn0.service-account-signature"
TOKEN = "eyJ0eXAiOiJKV1QifQ.eyJhdWQiOiJhcm0ifQ.access-token-signature"


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    place = tmp_path_factory.mktemp("tls")
    authority = Authority()
    certificate, key = authority.issue("localhost", hosts=("localhost", "127.0.0.1"))
    for name, content in (("key.pem", key), ("cert.pem", certificate), ("ca.pem", authority.pem)):
        (place / name).write_bytes(content)
    return place


@pytest.fixture
def identity(monkeypatch, tmp_path):
    """What Azure's webhook gives a pod."""
    for name in ("HTTPS_PROXY", "https_proxy", "AZURE_AUTHORITY_HOST"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "token"
    file.write_text(ASSERTION)
    for name, value in {"CLIENT_ID": "client", "TENANT_ID": "tenant", "FEDERATED_TOKEN_FILE": str(file)}.items():
        monkeypatch.setenv(f"AZURE_{name}", value)
    return file


@asynccontextmanager
async def azure(tls, login):
    """Serve a login and an ARM that takes its token; give its address and what was asked."""
    asked = []

    async def handle(request: web.Request) -> web.Response:
        body = await request.post() if request.method == "POST" else {}
        asked.append((request.method, request.path, dict(body), request.headers.get("Authorization", "")))
        if request.method == "POST":
            return login()
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"error": {"code": "InvalidAuthenticationToken", "message": "no"}}, status=401)
        return web.json_response({"subscriptionId": "s", "tenantId": "tenant", "state": "Enabled"})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tls / "cert.pem", tls / "key.pem")
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield f"https://localhost:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()


def granted():
    return web.json_response({"token_type": "Bearer", "expires_in": 3600, "access_token": TOKEN})


def settings(url, **fields):
    return ArmSettings(cloud="custom", base_url=url, authority=url, audience="https://arm.example", **fields)


async def test_a_pods_own_token_is_exchanged_once_for_one_that_arm_takes(tls, identity):
    async with azure(tls, granted) as (url, asked), Arm(settings(url, ca_file=str(tls / "ca.pem"))) as arm:
        assert (await arm.read_subscription(TARGET)).state == "Enabled"
        assert (await arm.read_subscription(TARGET)).state == "Enabled"
    logins = [body for method, _, body, _ in asked if method == "POST"]
    assert asked[0][1] == "/tenant/oauth2/v2.0/token"
    assert len(logins) == 1
    assert (logins[0]["client_id"], logins[0]["client_assertion"]) == ("client", ASSERTION)
    assert logins[0]["scope"] == "https://arm.example/.default"
    assert {authorization for method, _, _, authorization in asked if method == "GET"} == {f"Bearer {TOKEN}"}


async def test_an_authority_that_nobody_trusts_gets_no_token(tls, identity):
    async with azure(tls, granted) as (url, asked), Arm(settings(url, patience_ms=0)) as arm:
        with pytest.raises(RemoteError) as raised:
            await arm.read_subscription(TARGET)
    assert not asked
    assert raised.value.kind in {"Unreachable", "Unauthorized"}
    assert "certificate" in raised.value.message


async def test_a_login_that_is_refused_says_what_to_do_and_shows_no_token(tls, identity, caplog):
    def refuse():
        told = {
            "error": "invalid_client",
            "error_description": f"AADSTS700213: No matching federated identity record found for the subject in {ASSERTION}.",
            "error_codes": [700213],
        }
        return web.json_response(told, status=401)

    caplog.set_level("DEBUG")
    async with azure(tls, refuse) as (url, asked), Arm(settings(url, ca_file=str(tls / "ca.pem"))) as arm:
        with pytest.raises(RemoteError, match="names this subject") as raised:
            await arm.read_subscription(TARGET)
    assert (raised.value.kind, raised.value.matter) == ("Unauthorized", "auth")
    assert ASSERTION[:20] not in raised.value.message
    assert TOKEN[:20] not in caplog.text
    assert [method for method, *_ in asked] == ["POST"]


async def test_a_token_file_that_went_away_is_a_login_that_fails(tls, identity):
    identity.unlink()
    async with azure(tls, granted) as (url, asked), Arm(settings(url, ca_file=str(tls / "ca.pem"))) as arm:
        with pytest.raises(RemoteError) as raised:
            await arm.read_subscription(TARGET)
    assert raised.value.kind == "Unauthorized"
    assert not asked
