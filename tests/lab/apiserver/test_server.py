import asyncio
import io
import time
from collections.abc import AsyncIterator

import aiohttp
import orjson
import pytest

from burster.lab.apiserver.errors import ApiError
from burster.lab.apiserver.faults import Fault, RequestInfo, Rule, SeededFaults
from burster.lab.apiserver.server import TOKEN, ApiServer
from burster.lab.apiserver.store import Store

from .conftest import START_MS, a_config, a_pod


PODS = "/api/v1/namespaces/default/pods"
CONFIGS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture
async def server(store: Store) -> AsyncIterator[ApiServer]:
    async with ApiServer(store) as running:
        yield running


@pytest.fixture
async def http(server: ApiServer) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    async with aiohttp.ClientSession(server.url, headers=headers) as session:
        yield session


async def _line(response: aiohttp.ClientResponse) -> dict:
    async with asyncio.timeout(5):
        return orjson.loads(await response.content.readline())


async def test_a_watch_from_a_compacted_revision_ends_with_an_error_that_says_so(http, store: Store):
    old = store.revision
    store.create("configmaps", "default", a_config("a"))
    store.compact()
    async with http.get(CONFIGS, params={"watch": "1", "resourceVersion": str(old)}) as response:
        event = await _line(response)
        assert response.status == 200
        assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")
        assert await response.content.readline() == b""


async def test_a_running_watch_survives_compaction_while_it_keeps_up(http, store: Store):
    async with http.get(CONFIGS, params={"watch": "1", "resourceVersion": str(store.revision)}) as response:
        store.create("configmaps", "default", a_config("a"))
        assert (await _line(response))["type"] == "ADDED"
        store.compact()
        store.create("configmaps", "default", a_config("b"))
        assert (await _line(response))["object"]["metadata"]["name"] == "b"


async def test_a_watcher_that_falls_too_far_behind_is_cut_off_with_410():
    store = Store(lambda: START_MS, history_max=20)
    async with (
        ApiServer(store) as server,
        aiohttp.ClientSession(server.url, headers={"Authorization": f"Bearer {TOKEN}"}) as http,
        http.get(CONFIGS, params={"watch": "1", "resourceVersion": str(store.revision)}) as response,
    ):
        for number in range(100):  # in one go: the watch has no turn in between
            store.create("configmaps", "default", a_config(f"c{number}"))
        event = await _line(response)
        assert (event["type"], event["object"]["code"]) == ("ERROR", 410)


async def test_initial_events_end_with_a_bookmark_that_says_so(http, store: Store):
    store.create("configmaps", "default", a_config("a"))
    params = {
        "watch": "1",
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": "true",
    }
    async with http.get(CONFIGS, params=params) as response:
        first, second = await _line(response), await _line(response)
        store.create("configmaps", "default", a_config("b"))
        third = await _line(response)
    assert (first["type"], second["type"], third["type"]) == ("ADDED", "BOOKMARK", "ADDED")
    assert second["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert second["object"]["kind"] == "ConfigMap"


@pytest.mark.parametrize(
    "params", [{"sendInitialEvents": "true"}, {"resourceVersionMatch": "NotOlderThan"}], ids=["no-match", "match-alone"]
)
async def test_watch_options_that_do_not_fit_together_are_refused(http, params: dict):
    async with http.get(CONFIGS, params={"watch": "1", **params}) as response:
        assert response.status == 422


async def test_a_watch_ends_with_a_bookmark_at_the_present_revision(http, store: Store):
    start = store.revision
    store.create("secrets", "default", {"metadata": {"name": "elsewhere"}})
    params = {"watch": "1", "resourceVersion": str(start), "allowWatchBookmarks": "true", "timeoutSeconds": "1"}
    async with http.get(CONFIGS, params=params) as response:
        event = await _line(response)
        assert (event["type"], event["object"]["metadata"]["resourceVersion"]) == ("BOOKMARK", str(store.revision))
        assert await response.content.readline() == b""


async def test_a_watch_of_a_kind_that_goes_away_ends(http, store: Store):
    from .conftest import DEFINITIONS, a_definition

    store.create(DEFINITIONS, "", a_definition())
    async with http.get("/apis/example.dev/v1/things", params={"watch": "1"}) as response:
        store.delete(DEFINITIONS, "", "things.example.dev")
        async with asyncio.timeout(5):
            assert await response.content.readline() == b""


async def test_a_closing_server_ends_its_watches_at_once(store: Store):
    began = time.monotonic()
    async with ApiServer(store) as server:
        http = aiohttp.ClientSession(server.url, headers={"Authorization": f"Bearer {TOKEN}"})
        response = await http.get(PODS, params={"watch": "1"})
    async with asyncio.timeout(5):
        assert await response.content.readline() == b""
    response.close()
    await http.close()
    assert time.monotonic() - began < 5


async def test_a_client_that_leaves_its_watch_leaves_nothing_behind(http, server: ApiServer, store: Store):
    response = await http.get(PODS, params={"watch": "1"})
    assert len(server._streams._running) == 1
    response.close()
    async with asyncio.timeout(5):
        while server._streams._running:  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.01)
    assert store.collection("pods")._wakers == {}


async def test_a_port_in_use_is_an_error_and_leaves_nothing_running(server: ApiServer, store: Store):
    port = int(server.url.rpartition(":")[2])
    with pytest.raises(OSError, match="address already in use"):
        async with ApiServer(store, port=port):
            pass


async def test_a_failure_inside_is_answered_and_logged(http, store: Store, caplog: pytest.LogCaptureFixture):
    def broken(*_: object) -> dict:
        raise ZeroDivisionError("boom")

    store.admission.append(broken)
    async with http.post(PODS, data=orjson.dumps(a_pod("p"))) as response:
        answer = await response.json()
    assert (response.status, answer["reason"]) == (500, "InternalError")
    assert "boom" in caplog.text


async def test_a_body_too_large_is_refused(http):
    async with http.post(CONFIGS, data=io.BytesIO(b" " * (3 * 1024 * 1024 + 1))) as response:
        assert response.status == 413


async def test_a_body_of_two_megabytes_is_taken(http, store: Store):
    body = {"metadata": {"name": "large"}, "data": {"a": "x" * 2_000_000}}
    async with http.post(CONFIGS, data=io.BytesIO(orjson.dumps(body))) as response:
        assert response.status == 201
    assert len(store.get("configmaps", "default", "large")["data"]["a"]) == 2_000_000


async def test_unknown_fields_are_warned_of(http, store: Store):
    from .conftest import DEFINITIONS, a_definition

    schema = {
        "type": "object",
        "properties": {"spec": {"type": "object", "properties": {"known": {"type": "integer"}}}},
    }
    store.create(DEFINITIONS, "", a_definition(schema=schema))
    body = {"apiVersion": "example.dev/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": {"known": 1, "typo": 2}}
    path = "/apis/example.dev/v1/namespaces/default/things"
    async with http.post(path, data=orjson.dumps(body)) as response:
        assert response.status == 201
        assert response.headers["Warning"] == '299 - "unknown field \\"spec.typo\\""'
    body["metadata"]["name"] = "b"
    async with http.post(path, data=orjson.dumps(body), params={"fieldValidation": "Strict"}) as response:
        assert response.status == 400
        assert 'strict decoding error: unknown field "spec.typo"' in (await response.json())["message"]


# ---- faults


async def _ask(server: ApiServer, method: str = "GET", path: str = PODS, body: dict | None = None) -> tuple[int, dict]:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    data = None if body is None else orjson.dumps(body)
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.request(method, server.url + path, data=data) as response,
    ):
        return response.status, {**response.headers, "body": await response.json()}


@pytest.mark.parametrize(
    ("status", "want_reason"), [(429, "TooManyRequests"), (500, "InternalError"), (503, "ServiceUnavailable")]
)
async def test_a_status_can_be_injected(server: ApiServer, status: int, want_reason: str):
    server.faults = lambda _: Fault(status=status, retry_after_s=3)
    got, answer = await _ask(server)
    assert (got, answer["body"]["reason"], answer["Retry-After"]) == (status, want_reason, "3")


async def test_a_reset_breaks_the_connection_before_anything_is_done(server: ApiServer, store: Store):
    server.faults = lambda _: Fault(reset=True)
    with pytest.raises(aiohttp.ClientError):
        await _ask(server, "POST", body=a_pod("p"))
    assert store.list("pods") == []


async def test_a_lost_answer_breaks_it_afterwards(server: ApiServer, store: Store):
    server.faults = lambda info: Fault(lose_answer=True) if info.verb == "create" else None
    with pytest.raises(aiohttp.ClientError):
        await _ask(server, "POST", body=a_pod("p"))
    assert [pod["metadata"]["name"] for pod in store.list("pods")] == ["p"]


async def test_a_watch_can_be_cut_after_some_events(server: ApiServer, http, store: Store):
    server.faults = lambda info: Fault(cut_after_events=2) if info.verb == "watch" else None
    async with http.get(PODS, params={"watch": "1", "resourceVersion": str(store.revision)}) as response:
        for number in range(2):
            store.create("pods", "default", a_pod(f"p{number}"))
        for _ in range(2):
            await _line(response)
        with pytest.raises(aiohttp.ClientError):
            await response.content.readline()


async def test_a_delay_is_waited_for(server: ApiServer):
    server.faults = lambda _: Fault(delay_ms=100)
    began = time.monotonic()
    assert (await _ask(server))[0] == 200
    assert time.monotonic() - began >= 0.1


def test_faults_drawn_by_seed_depend_on_the_request_and_not_on_what_happens_around_it():
    rules = (Rule(fault=Fault(status=500), share=0.5, verbs=("create",)),)

    def fates(*, noise: bool, seed: int = 3) -> list[bool]:
        faults, found = SeededFaults(seed, rules), []
        for number in range(40):
            if noise:
                faults(RequestInfo(verb="create", resource="secrets", name=str(number)))
                faults(RequestInfo(verb="get", resource="pods"))
            found.append(faults(RequestInfo(verb="create", resource="pods", namespace="default")) is not None)
        return found

    assert fates(noise=False) == fates(noise=True)
    assert fates(noise=False) != fates(noise=False, seed=4)
    assert 8 < sum(fates(noise=False)) < 32


def test_a_rule_may_strike_only_so_often():
    faults = SeededFaults(1, (Rule(fault=Fault(reset=True), at_most=2),))
    struck = [faults(RequestInfo(verb="get", resource="pods")) for _ in range(5)]
    assert [each is not None for each in struck] == [True, True, False, False, False]


def test_an_api_error_is_a_status_object():
    status = ApiError(429, "TooManyRequests", "slow down", details={"retryAfterSeconds": 2}).to_status()
    assert status == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "slow down",
        "reason": "TooManyRequests",
        "details": {"retryAfterSeconds": 2},
        "code": 429,
    }


async def test_a_review_in_protobuf_is_refused_as_such_and_is_no_error_of_the_server(http):
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    headers = {"Content-Type": "application/vnd.kubernetes.protobuf"}
    async with http.post(path, data=b"k8s\x00\n", headers=headers) as response:
        assert response.status == 415
        assert (await response.json())["reason"] == "UnsupportedMediaType"


async def test_a_half_open_connection_says_nothing_and_does_not_end(server: ApiServer, store: Store):
    """Before or after the work is done: nobody who asks can tell."""
    for fault, want in ((Fault(silent=True), []), (Fault(silent=True, lose_answer=True), ["p"])):
        server.faults = lambda info, fault=fault: fault if info.verb == "create" else None
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await _ask(server, "POST", body=a_pod("p"))
        assert [pod["metadata"]["name"] for pod in store.list("pods")] == want


async def test_a_watch_can_fall_silent_without_an_end(server: ApiServer, http, store: Store):
    server.faults = lambda info: Fault(silent_after_ms=100) if info.verb == "watch" else None
    params = {"watch": "1", "resourceVersion": str(store.revision)}
    async with http.get(PODS, params=params) as response:
        store.create("pods", "default", a_pod("before"))
        assert (await _line(response))["object"]["metadata"]["name"] == "before"
        await asyncio.sleep(0.2)
        store.create("pods", "default", a_pod("after"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await response.content.readline()


async def test_a_restart_refuses_connections_and_comes_back_with_what_it_held(server: ApiServer, store: Store):
    store.create("pods", "default", a_pod("p"))
    restarting = asyncio.create_task(server.restart(0.2))
    await asyncio.sleep(0.1)
    with pytest.raises(aiohttp.ClientConnectorError):
        await _ask(server)
    await restarting
    status, answer = await _ask(server)
    assert (status, [pod["metadata"]["name"] for pod in answer["body"]["items"]]) == (200, ["p"])
