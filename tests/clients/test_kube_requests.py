"""The transport to the API server: what goes out, what comes back, and what each failure is called."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import orjson
import pytest
from aiohttp import web

from burster.clients.kube import Kube, KubeSettings, delete_options
from burster.clients.kube_lines import LineSplitter
from burster.clients.kube_sync import KubeSync
from burster.model.errors import InputError, RemoteError


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
TOKEN = "t0ken"
PODS = "/api/v1/namespaces/shop/pods"


def kubeconfig(folder: Path, url: str, token: str = TOKEN) -> str:
    path = folder / "kubeconfig"
    path.write_text(
        f"""
apiVersion: v1
kind: Config
current-context: lab
clusters: [{{name: lab, cluster: {{server: "{url}"}}}}]
users: [{{name: lab, user: {{token: {token}}}}}]
contexts: [{{name: lab, context: {{cluster: lab, user: lab}}}}]
"""
    )
    return str(path)


@asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    sock = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, sock).start()
    try:
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def connected(tmp_path: Path, handler: Handler, *, timeout_ms: int = 5_000) -> AsyncIterator[Kube]:
    async with served(handler) as url:
        settings = KubeSettings(kubeconfig=kubeconfig(tmp_path, url), request_timeout_ms=timeout_ms)
        async with await Kube.connect(settings) as kube:
            yield kube


async def test_each_verb_sends_what_the_api_expects(tmp_path: Path):
    seen: list[tuple[str, str, str, bytes]] = []

    async def handler(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer t0ken"
        assert request.headers["User-Agent"].startswith("burster/")
        seen.append((request.method, request.path_qs, request.headers.get("Content-Type", ""), await request.read()))
        return web.json_response({"kind": "Answer"})

    async with connected(tmp_path, handler) as kube:
        assert (
            await kube.get(f"{PODS}/a", {"fieldSelector": "status.phase=Pending,spec.nodeName="})
            == b'{"kind": "Answer"}'
        )
        await kube.create(PODS, {"a": 1}, {"dryRun": "All"})
        await kube.replace(f"{PODS}/a", b'{"raw":true}')
        await kube.patch(
            f"{PODS}/a/status", {"b": 2}, kind="apply", params={"fieldManager": "burster", "force": "true"}
        )
        await kube.patch(f"{PODS}/a", [{"op": "remove"}], kind="json")
        await kube.delete(f"{PODS}/a", delete_options(uid="u", resource_version="7", grace_seconds=0))
    assert seen == [
        ("GET", f"{PODS}/a?fieldSelector=status.phase%3DPending%2Cspec.nodeName%3D", "", b""),
        ("POST", f"{PODS}?dryRun=All", "application/json", b'{"a":1}'),
        ("PUT", f"{PODS}/a", "application/json", b'{"raw":true}'),
        (
            "PATCH",
            f"{PODS}/a/status?fieldManager=burster&force=true",
            "application/apply-patch+yaml",
            b'{"b":2}',
        ),
        ("PATCH", f"{PODS}/a", "application/json-patch+json", b'[{"op":"remove"}]'),
        (
            "DELETE",
            f"{PODS}/a",
            "application/json",
            b'{"kind":"DeleteOptions","apiVersion":"v1","preconditions":{"uid":"u","resourceVersion":"7"},"gracePeriodSeconds":0}',
        ),
    ]


@pytest.mark.parametrize(
    ("status", "reason", "want_kind"),
    [
        (400, "BadRequest", "Invalid"),
        (401, "Unauthorized", "Unauthorized"),
        (403, "Forbidden", "Unauthorized"),
        (404, "NotFound", "NotFound"),
        (409, "AlreadyExists", "AlreadyExists"),
        (409, "Conflict", "Conflict"),
        (410, "Expired", "Expired"),
        (422, "Invalid", "Invalid"),
        (429, "TooManyRequests", "Throttled"),
        (500, "InternalError", "Unavailable"),
        (503, "ServiceUnavailable", "Unavailable"),
        (504, "Timeout", "Timeout"),
        (302, "", "Protocol"),
    ],
)
async def test_refusals_have_a_kind_and_keep_the_servers_words(
    tmp_path: Path, status: int, reason: str, want_kind: str
):
    async def handler(_: web.Request) -> web.Response:
        told = {"kind": "Status", "reason": reason, "message": "because", "details": {"retryAfterSeconds": 3}}
        return web.json_response(told, status=status)

    async with connected(tmp_path, handler) as kube:
        with pytest.raises(RemoteError, match="because") as caught:
            await kube.create(PODS, {})
    assert (caught.value.kind, caught.value.code, caught.value.status) == (want_kind, reason, status)
    assert caught.value.retry_after_ms == 3_000


@pytest.mark.parametrize("body", [b"", b"<html>no such page</html>", b"\xff\xfe", b"[1]", b'{"message": 7}'])
async def test_a_refusal_that_is_no_status_object_is_still_a_remote_error(tmp_path: Path, body: bytes):
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=503, body=body, headers={"Retry-After": "9"})

    async with connected(tmp_path, handler) as kube:
        with pytest.raises(RemoteError) as caught:
            await kube.get(PODS)
    assert (caught.value.kind, caught.value.retry_after_ms) == ("Unavailable", 9_000)


async def test_no_answer_before_the_deadline_is_a_timeout(tmp_path: Path):
    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/silent"):
            await asyncio.sleep(10)
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"half")
        await asyncio.sleep(10)
        return response

    async with connected(tmp_path, handler, timeout_ms=50) as kube:
        for path in (f"{PODS}/silent", f"{PODS}/half"):
            with pytest.raises(RemoteError, match="no answer in time") as caught:
                await kube.create(path, {})
            assert caught.value.kind == "Timeout"


async def test_a_connection_that_breaks_under_a_write_leaves_it_unknown_what_was_done(tmp_path: Path):
    async def handler(request: web.Request) -> web.Response:
        await request.read()
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with connected(tmp_path, handler) as kube:
        with pytest.raises(RemoteError) as caught:
            await kube.create(PODS, {})
        assert caught.value.kind == "Timeout"
        with pytest.raises(RemoteError) as caught:
            await kube.get(PODS)
        assert caught.value.kind == "Unreachable"


async def test_a_delete_is_never_repeated_behind_our_back(tmp_path: Path):
    """Done, and its answer lost: a second one by the HTTP library would be told 404, as if somebody else had deleted the pod."""
    asked: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(request.method)
        if request.method == "DELETE":
            assert request.transport is not None
            request.transport.abort()
        return web.json_response({})

    async with connected(tmp_path, handler) as kube:
        await kube.get(PODS)  # the connection is kept, which is what makes the library bold
        with pytest.raises(RemoteError) as caught:
            await kube.delete(f"{PODS}/a")
        assert caught.value.kind == "Timeout"
    assert asked == ["GET", "DELETE"]


async def test_a_refused_connection_did_nothing(tmp_path: Path):
    async with await Kube.connect(KubeSettings(kubeconfig=kubeconfig(tmp_path, "http://127.0.0.1:9"))) as kube:
        with pytest.raises(RemoteError) as caught:
            await kube.create(PODS, {})
    assert caught.value.kind == "Unreachable"


async def test_a_rotated_token_is_read_again_when_the_old_one_is_refused(tmp_path: Path):
    async def handler(request: web.Request) -> web.Response:
        fresh = request.headers["Authorization"] == "Bearer fresh"
        return web.json_response({"ok": fresh}, status=200 if fresh else 401)

    async with served(handler) as url:
        settings = KubeSettings(kubeconfig=kubeconfig(tmp_path, url, "stale"))
        async with await Kube.connect(settings) as kube:
            kubeconfig(tmp_path, url, "fresh")
            assert await kube.create(PODS, {}) == b'{"ok": true}'


async def test_a_proxy_in_the_environment_is_not_asked_for_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    async def handler(_: web.Request) -> web.Response:
        return web.json_response({})

    async with connected(tmp_path, handler) as kube:
        assert await kube.get(PODS) == b"{}"
        path = str(tmp_path / "kubeconfig")
        assert await asyncio.to_thread(lambda: _sync_get(path)) == {}


def _sync_get(path: str) -> object:
    with KubeSync.connect(kubeconfig=path) as kube:
        return kube.get(PODS)


async def test_lists_come_in_pages(tmp_path: Path):
    async def handler(request: web.Request) -> web.Response:
        assert request.query["limit"] == "2"
        start = int(request.query.get("continue", "0"))
        metadata = {"resourceVersion": "5"} | ({"continue": str(start + 2)} if start < 4 else {})
        return web.json_response({"metadata": metadata, "items": [start, start + 1]})

    async with connected(tmp_path, handler) as kube:
        assert [orjson.loads(page.body)["items"] async for page in kube.pages(PODS, limit=2)] == [
            [0, 1],
            [2, 3],
            [4, 5],
        ]


async def test_a_watch_yields_whole_lines_however_they_are_cut(tmp_path: Path):
    lines = [b'{"type":"ADDED","object":{"n":%d,"pad":"%s"}}' % (n, b"x" * (n * 997 % 5_000)) for n in range(50)]

    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.query["watch"] == "true"
        response = web.StreamResponse()
        await response.prepare(request)
        stream = b"\n".join(lines) + b"\n\n"
        for start in range(0, len(stream), 701):
            await response.write(stream[start : start + 701])
        return response

    async with connected(tmp_path, handler) as kube, aclosing(kube.watch(PODS)) as watch:
        assert [line async for line in watch] == lines


@pytest.mark.parametrize("how", ["silent", "gone", "cut", "half"])
async def test_a_watch_that_goes_wrong_is_a_remote_error(tmp_path: Path, how: str):
    async def handler(request: web.Request) -> web.StreamResponse:
        if how == "gone":
            return web.json_response({"reason": "Expired", "message": "too old"}, status=410)
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"type":"BOOKMARK"}\n{"ty')
        if how == "cut":
            assert request.transport is not None
            request.transport.abort()
        if how == "silent":
            await asyncio.sleep(5)
        return response

    want = {"silent": "Timeout", "gone": "Expired", "cut": "Unreachable", "half": "Protocol"}[how]
    async with connected(tmp_path, handler) as kube, aclosing(kube.watch(PODS, inactivity_ms=100)) as watch:
        with pytest.raises(RemoteError) as caught:
            _ = [line async for line in watch]
    assert caught.value.kind == want


def test_a_line_without_end_is_refused_before_it_fills_the_memory():
    splitter = LineSplitter(line_bytes_max=1_000)
    assert [splitter.feed(b"x" * 100) for _ in range(10)] == [[]] * 10
    with pytest.raises(RemoteError, match="more than 1000 bytes"):
        splitter.feed(b"x")
    with pytest.raises(RemoteError, match="more than 1000 bytes"):
        LineSplitter(line_bytes_max=1_000).feed(b"x" * 1_001 + b"\n")


@pytest.mark.parametrize(
    ("content", "want"),
    [
        (None, "no such kubeconfig file"),
        ("", "kubeconfig"),
        ("a: [", "kubeconfig"),
        ("just words", "kubeconfig"),
        ("apiVersion: v1\nkind: Config\ncurrent-context: gone\ncontexts: []\n", "gone|contexts"),
    ],
)
async def test_credentials_that_are_none_are_one_sentence(tmp_path: Path, content: str | None, want: str):
    path = tmp_path / "broken"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=want):
        await Kube.connect(KubeSettings(kubeconfig=str(path)))
    with pytest.raises(InputError, match=want):
        KubeSync.connect(kubeconfig=str(path))


async def test_the_synchronous_client_reads_lists_and_patches(tmp_path: Path):
    async def handler(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer t0ken"
        if request.method == "PATCH":
            assert request.headers["Content-Type"] == "application/merge-patch+json"
            return web.json_response({"patched": await request.json()})
        if request.path.endswith("/gone"):
            return web.json_response({"reason": "NotFound", "message": "no such pod"}, status=404)
        more = {"continue": "x"} if "continue" not in request.query else {}
        return web.json_response({"metadata": more, "items": [{"n": len(request.query)}]})

    def ask(path: str) -> None:
        with KubeSync.connect(kubeconfig=path) as kube:
            assert kube.list(PODS, {"labelSelector": "a=b"}) == [{"n": 2}, {"n": 3}]
            assert kube.patch(f"{PODS}/a", {"x": 1}) == {"patched": {"x": 1}}
            with pytest.raises(RemoteError, match="no such pod") as caught:
                kube.get(f"{PODS}/gone")
            assert caught.value.kind == "NotFound"

    async with served(handler) as url:
        await asyncio.to_thread(ask, kubeconfig(tmp_path, url))
    with (
        pytest.raises(RemoteError) as caught,
        KubeSync.connect(kubeconfig=kubeconfig(tmp_path, "http://127.0.0.1:9")) as kube,
    ):
        kube.patch(f"{PODS}/a", {})
    assert caught.value.kind == "Unreachable"
