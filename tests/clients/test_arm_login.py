"""Who burster is at Azure, where it logs in, and by which way its requests go: as the settings say, and in no other way."""

import asyncio
import subprocess

import pytest
from azure.core.credentials import AccessToken
from azure.identity import aio

import burster.clients.arm.link as link_module
from burster.clients.arm import Arm, ArmSettings
from burster.clients.arm.link import Link
from burster.clients.arm.login import new_credential
from burster.model.errors import InputError, RemoteError
from burster.model.targets import Target
from burster.settings import load_settings


TARGET = Target(name="t", subscription="s", resource_group="rg", region="eastus")
NOBODY = (
    "AZURE_TENANT_ID",
    "AZURE_CLIENT_ID",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_CLIENT_SECRET",
    "AZURE_AUTHORITY_HOST",
)
PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy")


@pytest.fixture(autouse=True)
def nothing_around(monkeypatch):
    for name in (*NOBODY, *PROXIES):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    place = tmp_path_factory.mktemp("login")
    key, cert = place / "key.pem", place / "cert.pem"
    subject = ["-subj", "/CN=burster", "-days", "2"]
    made = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        str(key),
        "-out",
        str(cert),
        *subject,
    ]
    subprocess.run(made, check=True, capture_output=True)
    both = place / "both.pem"
    both.write_text(key.read_text() + cert.read_text())
    return both


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"auth": "managed-identity", "client_id": "c"}, aio.ManagedIdentityCredential),
        (
            {"auth": "client-secret", "tenant_id": "t", "client_id": "c", "client_secret_file": "secret"},
            aio.ClientSecretCredential,
        ),
        (
            {"auth": "client-certificate", "tenant_id": "t", "client_id": "c", "client_certificate_file": "pem"},
            aio.CertificateCredential,
        ),
        ({"auth": "azure-cli"}, aio.AzureCliCredential),
        ({"auth": "environment"}, aio.EnvironmentCredential),
        ({"auth": "workload-identity", "tenant_id": "t", "client_id": "c"}, aio.WorkloadIdentityCredential),
    ],
    ids=lambda value: value["auth"] if isinstance(value, dict) else "",
)
async def test_the_credential_is_the_one_that_the_settings_name(fields, kind, tmp_path, pem, monkeypatch):
    (tmp_path / "secret").write_text("hush\n")
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(tmp_path / "secret"))
    places = {"client_secret_file": str(tmp_path / "secret"), "client_certificate_file": str(pem)}
    settings = ArmSettings(**{name: places.get(name, value) for name, value in fields.items()})
    link = Link(settings, None)
    credential = new_credential(settings, link._new_transport(settings.endpoints.authority))
    assert type(credential) is kind
    assert "hush" not in repr(credential)
    await credential.close()
    await link.aclose()


@pytest.mark.parametrize("auth", ["workload-identity", "client-secret", "client-certificate"])
async def test_a_login_that_lacks_something_says_so_and_tries_no_other(auth, tmp_path):
    settings = ArmSettings(
        auth=auth,
        tenant_id="t",
        client_id="c",
        client_secret_file=str(tmp_path / "none"),
        client_certificate_file=str(tmp_path / "none"),
    )
    async with Arm(settings) as arm:
        with pytest.raises(RemoteError, match=f"no login by {auth}") as raised:
            await arm.get_vm(TARGET, "x")
    assert (raised.value.kind, raised.value.matter) == ("Unauthorized", "auth")


@pytest.mark.parametrize(
    ("fields", "want"),
    [
        ({"auth": "client-secret", "tenant_id": "t"}, "needs client_id, client_secret_file"),
        ({"auth": "client-certificate"}, "needs tenant_id, client_id, client_certificate_file"),
        ({"cloud": "custom", "base_url": "https://arm.example"}, "needs base_url and authority"),
        (
            {"cloud": "custom", "base_url": "https://arm.example", "authority": "http://login.example"},
            "no https address",
        ),
        ({"ca_file": "/nowhere"}, "holds no certificate"),
    ],
)
async def test_settings_that_can_not_work_are_refused_before_anything_is_sent(fields, want):
    with pytest.raises(InputError, match=want):
        Arm(ArmSettings(**fields))


@pytest.mark.parametrize(
    ("fields", "want"),
    [
        ({}, ("https://management.azure.com", "https://login.microsoftonline.com", "https://management.azure.com")),
        ({"cloud": "china"}, ("https://management.chinacloudapi.cn", "https://login.chinacloudapi.cn", "https://management.chinacloudapi.cn")),
        ({"cloud": "usgov"}, ("https://management.usgovcloudapi.net", "https://login.microsoftonline.us", "https://management.core.usgovcloudapi.net")),
        ({"cloud": "custom", "base_url": "https://arm.example/", "authority": "https://login.example/"},
         ("https://arm.example", "https://login.example", "https://arm.example")),
        ({"cloud": "custom", "base_url": "https://arm.example", "authority": "https://login.example", "audience": "https://a.example"},
         ("https://arm.example", "https://login.example", "https://a.example")),
        ({"base_url": "https://127.0.0.1:9"}, ("https://127.0.0.1:9", "https://login.microsoftonline.com", "https://127.0.0.1:9")),
    ],
)  # fmt: skip
def test_each_cloud_has_its_own_addresses(fields, want):
    endpoints = ArmSettings(**fields).endpoints
    assert (endpoints.base_url, endpoints.authority, endpoints.audience) == want


def test_azures_own_library_names_the_same_addresses():
    from azure.core import AzureClouds
    from azure.mgmt.core.tools import get_arm_endpoints

    clouds = {
        "public": AzureClouds.AZURE_PUBLIC_CLOUD,
        "china": AzureClouds.AZURE_CHINA_CLOUD,
        "usgov": AzureClouds.AZURE_US_GOVERNMENT,
    }
    for name, cloud in clouds.items():
        ours, theirs = ArmSettings(cloud=name).endpoints, get_arm_endpoints(cloud)
        assert f"{ours.base_url}/" == theirs["resource_manager"]
        assert [f"{ours.audience}/.default"] == theirs["credential_scopes"]


@pytest.mark.parametrize(
    ("variables", "url", "want"),
    [
        ({}, "https://management.azure.com", None),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "https://management.azure.com", "http://proxy:3128"),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": ".azure.com"}, "https://management.azure.com", None),
        (
            {"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "example.com"},
            "https://login.microsoftonline.com",
            "http://proxy:3128",
        ),
        ({"HTTPS_PROXY": "http://proxy:3128", "HTTP_PROXY": "http://proxy:3128"}, "http://127.0.0.1:8080", None),
        ({"HTTPS_PROXY": "http://proxy:3128", "HTTP_PROXY": "http://proxy:3128"}, "https://localhost:8080", None),
        ({"HTTP_PROXY": "http://proxy:3128"}, "https://management.azure.com", None),
    ],
)
async def test_a_proxy_is_used_where_the_environment_says_so_and_never_for_this_machine(
    monkeypatch, variables, url, want
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    link = Link(ArmSettings(), None)
    session = link._new_transport(url).session
    assert (str(session._default_proxy) if session._default_proxy else None) == want
    assert not session.trust_env
    await link.aclose()


async def test_a_proxy_is_asked_for_the_way_with_its_own_login_and_its_refusal_is_told_without_it(monkeypatch):
    heard = []

    async def refuse(reader, writer):
        heard.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    class Credential:
        async def get_token(self, *_scopes, **_):
            return AccessToken("secret", 2**40)

        async def close(self):
            pass

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:hush@127.0.0.1:{port}")
    monkeypatch.setattr(link_module, "new_credential", lambda settings, transport: Credential())
    async with server, Arm(ArmSettings(base_url="https://arm.invalid", patience_ms=0)) as arm:
        with pytest.raises(RemoteError, match=r"the proxy refuses the way to ARM \(407") as raised:
            await arm.begin_vm(TARGET, "x", {})
    assert (raised.value.kind, raised.value.code) == ("Unreachable", "ProxyRefused")
    assert "hush" not in raised.value.message
    (request,) = heard
    assert request.startswith("CONNECT arm.invalid:443 ")
    assert "Proxy-Authorization: Basic dXNlcjpodXNo" in request
    assert "secret" not in request


async def test_an_authority_of_ones_own_is_trusted_besides_the_usual_ones(pem):
    link = Link(ArmSettings(ca_file=str(pem)), None)
    session = link._new_transport("https://management.azure.com").session
    names = [dict(part[0] for part in each["subject"]) for each in session.connector._ssl.get_ca_certs()]
    assert {"commonName": "burster"} in names
    await link.aclose()


def test_the_settings_of_the_environment_become_the_clients(monkeypatch):
    for name, value in {"CLOUD": "usgov", "AUTH": "managed-identity", "CLIENT_ID": "c", "PATIENCE_MS": "1000"}.items():
        monkeypatch.setenv(f"BURSTER_ARM__{name}", value)
    settings = load_settings().arm.for_client()
    assert (settings.cloud, settings.auth, settings.client_id, settings.patience_ms) == (
        "usgov",
        "managed-identity",
        "c",
        1_000,
    )


def test_the_usual_login_is_workload_identity():
    assert load_settings().arm.for_client() == ArmSettings()
    assert ArmSettings().auth == "workload-identity"


def test_the_public_clouds_prices_are_not_used_for_another_cloud(monkeypatch):
    monkeypatch.setenv("BURSTER_ARM__CLOUD", "china")
    monkeypatch.setenv("BURSTER_PRICES__URL", "https://prices.azure.com")
    with pytest.raises(InputError, match="BURSTER_PRICES__URL is set, and the price list is of Azure's public cloud"):
        load_settings()


def test_a_secret_in_a_variable_is_refused_without_being_shown(monkeypatch):
    monkeypatch.setenv("BURSTER_ARM__CLIENT_SECRET", "hush")
    with pytest.raises(InputError, match="BURSTER_ARM__CLIENT_SECRET sets nothing") as raised:
        load_settings()
    assert "hush" not in str(raised.value)
