"""What ARM, a proxy or the login says becomes one understood sentence with a cure, and no secret is ever in it."""

import json
import logging

import msgspec
import pytest
from aiohttp import web
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError
from hypothesis import given
from hypothesis import strategies as st

from burster.clients.arm import Arm, ArmSettings, link
from burster.clients.arm.answers import ErrorBody, read_error, refused, short, translate, understood
from burster.clients.arm.patience import retry_after_s
from burster.clients.arm_cures import cure_of
from burster.model.errors import RemoteError
from burster.model.offerings import CloudResource
from burster.model.targets import Target


TARGET = Target(name="t", subscription="s", resource_group="rg", region="eastus")
TOKEN = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJodHRwczovL21hbmFnZW1lbnQifQ.c2lnbmF0dXJl-_x"


def body(code, message="", **fields):
    return json.dumps({"error": {"code": code, "message": message, **fields}}).encode()


class serving:  # noqa: N801 - reads as a verb
    """A server that answers everything with one function; tells what came."""

    def __init__(self, answer):
        self.seen = []

        async def handle(request: web.Request) -> web.Response:
            self.seen.append((request.method, request.path_qs, dict(request.headers)))
            return answer(request)

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handle)
        self.runner = web.AppRunner(app, access_log=None)

    async def __aenter__(self):
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        host, port = self.runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_):
        await self.runner.cleanup()


@pytest.mark.parametrize(
    "text",
    [
        f"The token {TOKEN} has expired",
        f"Authorization: Bearer {TOKEN}",
        "Authorization: Bearer abcdef0123456789",
        f"cut off: {TOKEN[:30]}",
        "https://x.blob.core.windows.net/a?sv=1&sig=abcdef0123456789%3D&se=2",
        "grant_type=client_credentials&client_secret=abcdef0123456789",
        "Cannot connect to proxy http://user:abcdef0123456789@proxy:3128",
    ],
)
def test_no_secret_gets_into_a_sentence(text):
    told = short(text)
    assert "***" in told
    assert "abcdef0123456789" not in told
    assert TOKEN[:30] not in told
    assert text.split(maxsplit=1)[0][:6] in told


@given(
    st.text(max_size=2_000),
    st.sampled_from([TOKEN, f"x{TOKEN}", f'"{TOKEN}"', TOKEN.replace(".", ".\n.", 1)]),
    st.text(max_size=2_000),
)
def test_a_token_is_cut_out_wherever_it_is(before, token, after):
    assert TOKEN.split(".", maxsplit=1)[0] not in short(f"{before}{token}{after}")


@pytest.mark.parametrize(
    ("answer", "want"),
    [
        pytest.param(body("SkuNotAvailable", "no"), ("Capacity", "SkuNotAvailable", "no"), id="plain"),
        pytest.param(
            body("Conflict", "see within", details=[{"code": "AllocationFailed", "message": "no room"}]),
            ("Capacity", "AllocationFailed", "no room"),
            id="wrapped",
        ),
        pytest.param(
            body(
                "DeploymentFailed",
                "x",
                details=[{"code": "Conflict", "message": "y", "details": [{"code": "SubnetIsFull", "message": "z"}]}],
            ),
            ("Capacity", "SubnetIsFull", "z"),
            id="wrapped twice",
        ),
        pytest.param(
            body("BadRequest", "plainly wrong", details=[]),
            ("Invalid", "BadRequest", "plainly wrong"),
            id="nothing within",
        ),
        pytest.param(
            body("BadRequest", "a", details=[{"code": "Unheard", "message": "b"}]),
            ("Invalid", "BadRequest", "a"),
            id="nothing known",
        ),
        pytest.param(
            b'{"code": "ZonalAllocationFailed", "message": "m"}',
            ("Capacity", "ZonalAllocationFailed", "m"),
            id="no envelope",
        ),
    ],
)
def test_an_error_is_understood_by_the_best_code_in_it(answer, want):
    found = understood(409, read_error(answer))
    if want[1] == "BadRequest":
        found = understood(400, read_error(answer))
    assert (found.kind, found.code, found.message) == want


NIC = CloudResource(
    kind="Nic",
    name="n",
    resource_id="/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network/networkInterfaces/n",
    region="eastus",
)


@pytest.mark.parametrize("content", [b"", b"<html>Not Found</html>", b'{"message": "no Route matched"}', b"404 page"])
async def test_that_something_is_gone_is_believed_of_arm_alone(content):
    async with (
        serving(lambda _: web.Response(status=404, body=content)) as server,
        Arm(ArmSettings(base_url=server.url, auth="none")) as arm,
    ):
        for ask in (
            arm.get_vm(TARGET, "x"),
            arm.delete_vm(TARGET, "x"),
            arm.delete_resource(TARGET, NIC),
            arm.read_resource_group(TARGET),
            arm.read_image(TARGET, "a:b:c:1.2.3"),
        ):
            with pytest.raises(RemoteError, match="without a word of ARM's") as raised:
                await ask
            assert raised.value.kind == "Protocol"


async def test_what_arm_says_is_gone_is_gone():
    answer = body("ResourceNotFound", "The Resource 'n' under resource group 'rg' was not found.")
    async with (
        serving(lambda _: web.Response(status=404, body=answer)) as server,
        Arm(ArmSettings(base_url=server.url, auth="none")) as arm,
    ):
        assert await arm.get_vm(TARGET, "x") is None
        await arm.delete_vm(TARGET, "x")
        await arm.delete_resource(TARGET, NIC)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://management.azure.com/subscriptions/s/operations/1?t=2", "/subscriptions/s/operations/1?t=2"),
        ("https://management.azure.com:443/subscriptions/s", "/subscriptions/s"),
        ("https://MANAGEMENT.azure.com/subscriptions/s", "/subscriptions/s"),
        ("https://management.azure.com:8443/subscriptions/s", None),
        ("http://management.azure.com:443/subscriptions/s", None),
        ("https://management.azure.com.evil.example/subscriptions/s", None),
        ("https://management.azure.com@evil.example/subscriptions/s", None),
        ("https://management.azure.com:x/subscriptions/s", None),
        ("https://[management.azure.com/subscriptions/s", None),
    ],
)
async def test_an_address_is_arms_own_whether_its_port_is_written_out_or_not(url, path):
    assert link.Link(ArmSettings(), None).path_of(url) == path


@pytest.mark.parametrize(("said", "seconds"), [("7", 7), ("3600", 3_600), ("999999999", 3_600), ("9" * 40, 3_600)])
def test_nobody_is_kept_from_asking_for_longer_than_azures_longest_window(said, seconds):
    assert retry_after_s({"Retry-After": said}) == seconds


@given(st.integers(100, 599), st.binary(max_size=400))
def test_any_refusal_is_a_remote_error(status, content):
    error = refused(status, content, {}, "do it")
    assert isinstance(error, RemoteError)
    assert error.status == status
    assert error.message.startswith("do it: ")
    assert len(error.message) < 1_000


def _deep(depth):
    error = ErrorBody(code="Conflict")
    for _ in range(depth):
        error = ErrorBody(code="Conflict", details=[error])
    return error


def test_an_error_of_many_layers_ends():
    assert read_error(msgspec.json.encode({"error": _deep(200)})) is not None
    assert understood(409, _deep(200)).kind == "Conflict"


@pytest.mark.parametrize(
    ("status", "page", "kind"),
    [
        (502, b"<html><body>Bad Gateway</body></html>", "Unavailable"),
        (403, b"<!DOCTYPE html><p>Blocked", "Unauthorized"),
        (407, b"", "Unavailable"),
    ],
)
def test_a_proxys_page_is_no_word_of_arm(status, page, kind):
    error = refused(status, page, {}, "do it")
    assert error.kind == kind
    assert ("proxy" in error.message) == bool(page)
    assert "<" not in error.message


@pytest.mark.parametrize(
    ("message", "cure"),
    [
        ("AADSTS7000222: The provided client secret keys for app 'x' are expired.", "has expired"),
        ("AADSTS7000215: Invalid client secret provided.", "is wrong"),
        ("AADSTS700016: Application with identifier 'x' was not found in the directory", "no such application"),
        (
            "AADSTS700213: No matching federated identity record found for presented assertion subject",
            "names this subject",
        ),
        (
            "AADSTS70021: No matching federated identity record found for presented assertion.",
            "issuer, subject and audience",
        ),
        ("AADSTS700024: Client assertion is not within its valid time range.", "check this machine's clock"),
        ("AADSTS90002: Tenant 'x' not found.", "no such tenant"),
        (
            "AADSTS500011: The resource principal named https://x was not found in the tenant",
            "check cloud, or audience",
        ),
        ("AADSTS99999: Something new.", "check how burster logs in"),
        ("WorkloadIdentityCredential authentication unavailable.", "check how burster logs in"),
    ],
)
def test_a_login_that_fails_says_what_to_do(message, cure):
    error = translate(ClientAuthenticationError(message=message), "read VM x")
    assert (error.kind, error.matter, error.code) == ("Unauthorized", "auth", "AuthenticationFailed")
    assert cure in error.message


@pytest.mark.parametrize(
    ("code", "message", "cure"),
    [
        (
            "BadRequest",
            "The VM size 'X' is not supported for creation of VMs and Virtual Machine Scale Set with '<NULL>' security type.",
            "DISABLECVM to false",
        ),
        (
            "BadRequest",
            (
                "The VM size 'Standard_D2s_v6' is not supported for creation of VMs and Virtual Machine Scale Set with 'ConfidentialVM' "
                "security type."
            ),
            "takes no confidential VM",
        ),
        (
            "InvalidParameter",
            "The image's security type does not allow 'ConfidentialVM'.",
            "not made for confidential VMs",
        ),
        ("BadRequest", "The selected VM size cannot boot Hypervisor Generation '1'.", "generation V2"),
        ("RequestDisallowedByAzure", "Resource was disallowed by Azure: locationineligible", "only certain regions"),
        ("RequestDisallowedByPolicy", "Resource 'x' was disallowed by policy.", "an Azure Policy"),
        ("InvalidAuthenticationToken", "The token is not yet valid.", "another time"),
        ("SomethingNew", "x", ""),
    ],
)
def test_a_refusal_says_what_to_do(code, message, cure):
    assert cure in cure_of(code, message)
    assert bool(cure_of(code, message)) == bool(cure)


async def test_what_arm_echoes_of_a_token_is_in_no_log_exception_or_cause(monkeypatch, caplog):
    class Credential:
        async def get_token(self, *_scopes, **_):
            return AccessToken(TOKEN, 2**40)

        async def close(self):
            pass

    class Plain(link.AsyncARMChallengeAuthenticationPolicy):
        async def send(self, request):  # the real one refuses plain http, which is all that a test can serve
            request.http_request.headers["Authorization"] = f"Bearer {(await self._credential.get_token()).token}"
            return await self.next.send(request)

    monkeypatch.setattr(link, "new_credential", lambda settings, transport: Credential())
    monkeypatch.setattr(link, "AsyncARMChallengeAuthenticationPolicy", Plain)
    monkeypatch.setattr(link, "check_way", lambda settings: True)
    caplog.set_level(logging.DEBUG)

    def echo(request):
        message = f"The token '{request.headers['Authorization']}' is not taken"
        return web.json_response({"error": {"code": "InvalidAuthenticationToken", "message": message}}, status=401)

    async with serving(echo) as server, Arm(ArmSettings(base_url=server.url, auth="managed-identity")) as arm:
        for ask in (
            arm.get_vm(TARGET, "x"),
            arm.list_vms(TARGET),
            arm.begin_vm(TARGET, "x", {}),
            arm.read_subscription(TARGET),
        ):
            with pytest.raises(RemoteError) as raised:
                await ask
            assert (raised.value.kind, raised.value.code) == ("Unauthorized", "InvalidAuthenticationToken")
            shown = []
            error = raised.value
            while error is not None:
                shown += [str(error), repr(error), repr(vars(error))]
                error = error.__cause__
            assert TOKEN[:20] not in " ".join(shown)
    assert server.seen[0][2]["Authorization"] == f"Bearer {TOKEN}"
    assert TOKEN[:20] not in caplog.text


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(status):
    async with serving(lambda _: web.Response(status=200)) as other:
        away = {"Location": f"{other.url}/elsewhere"}
        async with (
            serving(lambda _: web.Response(status=status, headers=away)) as server,
            Arm(ArmSettings(base_url=server.url, auth="none")) as arm,
        ):
            with pytest.raises(RemoteError):
                await arm.get_vm(TARGET, "x")
            with pytest.raises(RemoteError):
                await arm.read_subscription(TARGET)
        assert not other.seen


async def test_a_next_page_at_another_address_is_not_fetched():
    async with serving(lambda _: web.json_response({"value": []})) as other:
        page = {"value": [], "nextLink": f"{other.url}/more"}
        async with (
            serving(lambda _: web.json_response(page)) as server,
            Arm(ArmSettings(base_url=server.url, auth="none")) as arm,
        ):
            for ask in (arm.list_vms(TARGET), arm.locations(TARGET)):
                with pytest.raises(RemoteError, match="not at ARM's own address") as raised:
                    await ask
                assert raised.value.kind == "Protocol"
        assert not other.seen


async def test_an_operation_at_another_address_is_not_followed():
    vm = {"id": "/x", "name": "x", "location": "eastus", "properties": {"provisioningState": "Creating"}}
    headers = {"Azure-AsyncOperation": "https://evil.example/subscriptions/s/operations/1"}
    served = serving(lambda _: web.json_response(vm, status=201, headers=headers))
    async with served as server, Arm(ArmSettings(base_url=server.url, auth="none")) as arm:
        made = await arm.begin_vm(TARGET, "x", {})
    assert made.token == ""


async def test_a_location_without_words_is_followed_by_its_status():
    answers = iter(
        [
            web.json_response({"id": "/x", "name": "x", "location": "eastus", "properties": {}}, status=201),
            web.Response(status=202, headers={"Retry-After": "7"}),
            web.json_response({"error": {"code": "AllocationFailed", "message": "no room"}}, status=409),
        ]
    )

    def answer(request):
        response = next(answers)
        if request.method == "PUT":
            response.headers["Location"] = (
                f"http://{request.host}/subscriptions/s/operations/1?api-version=1&t=2&s=x-y_z%3D"
            )
        return response

    async with serving(answer) as server, Arm(ArmSettings(base_url=server.url, auth="none")) as arm:
        made = await arm.begin_vm(TARGET, "x", {})
        running = await arm.follow_operation(TARGET, made.token)
        failed = await arm.follow_operation(TARGET, made.token)
    assert (running.state, running.retry_after_ms) == ("InProgress", 7_000)
    assert (failed.state, failed.failure.code, failed.failure.matter) == ("Failed", "AllocationFailed", "capacity")
    assert server.seen[1][1] == "/subscriptions/s/operations/1?api-version=1&t=2&s=x-y_z%3D"


@pytest.mark.parametrize("answer", [b"", b"[]", b'{"status": 5}', b'{"status": "Perhaps"}', b"<html></html>"])
async def test_an_operation_that_makes_no_sense_is_a_protocol_error(answer):
    async with (
        serving(lambda _: web.Response(body=answer)) as server,
        Arm(ArmSettings(base_url=server.url, auth="none")) as arm,
    ):
        with pytest.raises(RemoteError) as raised:
            await arm.follow_operation(TARGET, "1a/subscriptions/s/operations/1")
    assert raised.value.kind == "Protocol"


@pytest.mark.parametrize(
    "answer", [b"", b"<html></html>", b'{"value": 5}', b'{"value": [5]}', b'{"value": [{"name": 7}]}', b"\xff\xfe"]
)
async def test_nonsense_in_place_of_json_is_a_protocol_error_everywhere(answer):
    async with (
        serving(lambda _: web.Response(body=answer)) as server,
        Arm(ArmSettings(base_url=server.url, auth="none")) as arm,
    ):
        asks = (
            arm.get_vm(TARGET, "x"),
            arm.list_vms(TARGET),
            arm.list_resources(TARGET),
            arm.skus(TARGET),
            arm.usages(TARGET),
            arm.read_subscription(TARGET),
            arm.locations(TARGET),
            arm.read_resource_group(TARGET),
            arm.read_image(TARGET, "a:b:c:1.2.3"),
            arm.permissions(TARGET, "/subscriptions/s"),
            arm.read_image(TARGET, "a:b:c:latest"),
            arm.begin_vm(TARGET, "x", {}),
        )
        for ask in asks:
            with pytest.raises(RemoteError) as raised:
                await ask
            assert raised.value.kind == "Protocol", raised.value.message
