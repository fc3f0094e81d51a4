"""What stands in the way of asking a cluster is one sentence with a cure: no controller, no right, no credentials, no answer."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from burster.cli.cluster import ClusterRecords
from burster.cli.live_controller import ControllerOrRecords, LiveController
from burster.clients import controller
from burster.clients.controller import ControllerClient, NoControllerError
from burster.clients.kube_sync import KubeSync
from burster.model.errors import BursterError, InputError
from burster.surfaces.view import StatusView


CONFIG = """
apiVersion: v1
kind: Config
current-context: c
clusters: [{name: c, cluster: {server: 'URL'}}]
users: [{name: u, user: {token: t}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
"""
Handler = Callable[[web.Request], Any]


def status(code: int, reason: str, message: str) -> web.Response:
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": reason,
        "message": message,
        "code": code,
    }
    return web.json_response(body, status=code)


def empty(_: web.Request) -> web.Response:
    return web.json_response({"kind": "List", "metadata": {"resourceVersion": "1"}, "items": []})


async def hangs(_: web.Request) -> web.Response:
    await asyncio.sleep(60)
    raise AssertionError("nobody waits so long")


@asynccontextmanager
async def an_api_server(proxy: Handler, everything_else: Handler) -> AsyncIterator[str]:
    """An API server's address, which answers by one for what is behind its proxies and by the other for its own."""

    async def handle(request: web.Request) -> web.StreamResponse:
        answer = (proxy if "/proxy/" in request.path else everything_else)(request)
        return await answer if asyncio.iscoroutine(answer) else answer

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def ask(url: str, folder: Path, namespace: str = "") -> tuple[StatusView | BursterError, list[str]]:
    """Ask for the status as the command does; return the answer or why there is none, and what was said beside it."""
    path = folder / "kubeconfig"
    path.write_text(CONFIG.replace("URL", url))
    notes: list[str] = []

    def go() -> StatusView | BursterError:
        with KubeSync.connect(kubeconfig=str(path), request_timeout_ms=500) as kube:
            live = LiveController(ControllerClient.through(kube, "burster-system"), namespace, 1.0)
            with ClusterRecords(kube, namespace) as records:
                try:
                    return ControllerOrRecords(live, records, notes.append, watch=False).status()
                except BursterError as error:
                    return error

    return await asyncio.to_thread(go), notes


@pytest.mark.parametrize(
    ("proxy", "says"),
    [
        (lambda _: status(404, "NotFound", 'services "burster" not found'), "there is no such service"),
        (
            lambda _: status(503, "ServiceUnavailable", 'no endpoints available for service "burster:http"'),
            "nobody behind it answers",
        ),
        (lambda _: status(403, "Forbidden", "services is forbidden"), "you may not use its services/proxy there"),
        (lambda _: web.Response(text="<html>a login page</html>"), "what answers there is no burster of this version"),
        (hangs, "no answer in time"),
    ],
    ids=["no service", "no pod", "no right", "another program", "hangs"],
)
async def test_without_a_controller_the_records_are_told_and_why(proxy, says, tmp_path, monkeypatch):
    monkeypatch.setattr(controller, "TIMEOUT_MS", 500)
    async with an_api_server(proxy, empty) as url:
        answer, notes = await ask(url, tmp_path)
    assert isinstance(answer, StatusView), str(answer)
    assert answer.title == "the cluster's records"
    (note,) = notes
    assert note.startswith("no controller answers (the service burster in burster-system: ")
    assert says in note


@pytest.mark.parametrize(
    ("everything", "says", "cure"),
    [
        (lambda _: status(401, "Unauthorized", "Unauthorized"), "401 Unauthorized", "log in again"),
        (lambda _: status(403, "Forbidden", "bursts is forbidden"), "you may not look", "-n NAMESPACE"),
        (lambda _: status(404, "NotFound", "no such resource"), "has no Bursts", "apply deploy/crds first"),
        (lambda _: status(500, "InternalError", "etcd is away"), "etcd is away", "ask again"),
        (hangs, "no answer in time", "--context"),
    ],
    ids=["no credentials", "no right", "no burster", "broken", "hangs"],
)
async def test_a_cluster_that_can_not_be_asked_is_one_sentence_with_a_cure(
    everything, says, cure, tmp_path, monkeypatch
):
    monkeypatch.setattr(controller, "TIMEOUT_MS", 500)
    async with an_api_server(everything, everything) as url:
        answer, _ = await ask(url, tmp_path)
    assert isinstance(answer, InputError)
    assert getattr(answer, "exit_code", 2) == 2
    assert says in str(answer)
    assert cure in str(answer)
    assert "\n" not in str(answer)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://no-such-host.invalid"])
async def test_a_cluster_that_is_not_there_says_how_to_name_another(url, tmp_path):
    answer, notes = await ask(url, tmp_path)
    assert isinstance(answer, InputError)
    assert str(answer).startswith("the cluster can't be asked: ")
    assert "is it up, and the one you mean? --kubeconfig FILE or --context choose another" in str(answer)
    assert not notes


def test_a_token_that_can_not_be_read_is_said_before_anybody_is_asked(tmp_path):
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "words").write_text("not a token")
    for name, says in (("nope", "No such file"), ("empty", "this is no token"), ("words", "this is no token")):
        with pytest.raises(InputError, match=says):
            ControllerClient.at("http://127.0.0.1:9", tmp_path / name)
    (tmp_path / "token").write_text("eyJ.e30.x\n")
    with pytest.raises(NoControllerError, match="nobody answers there"):
        ControllerClient.at("http://127.0.0.1:9", tmp_path / "token").get("/v1/status", {}, StatusView)
