"""Whatever happens to a Prometheus, nothing is bought and nothing is given up because of it; afterwards it goes on."""

import asyncio
import base64
import ssl
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import structlog
from aiohttp import web

from burster.lab.lockstep import LabClock, run_lockstep
from burster.lab.monitoring.server import Fault, MonitoringServer
from burster.lab.site import Site
from burster.runtime.metering import Meter
from burster.surfaces.metrics import Metrics
from tests.support.certificates import Authority
from tests.support.classic import Classic, Page, a_classic, a_prometheus, a_rule, a_target
from tests.support.metrics import a_secret


def answers(body: bytes, status: int = 200, **headers: str) -> Fault:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body, status=status, headers=headers)

    return answer


def vector(*values: str) -> Fault:
    series = ",".join(f'{{"metric":{{}},"value":[0,"{value}"]}}' for value in values)
    return answers(f'{{"status":"success","data":{{"resultType":"vector","result":[{series}]}}}}'.encode())


async def silence(_: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def slow(_: web.Request) -> None:
    await asyncio.sleep(5)


async def half(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "100"})
    await response.prepare(request)
    await response.write(b'{"status":')
    return await silence(request)


async def cut(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


STRICT = {"ignoreNullValues": "false"}
FAULTS: dict[str, tuple[Fault, dict[str, str], str]] = {
    "half-open": (silence, {}, "no whole answer within 3000 ms"),
    "half an answer": (half, {}, "no whole answer within 3000 ms"),
    "slow": (slow, {}, "no whole answer within 3000 ms"),
    "reset": (cut, {}, "the connection broke"),
    "wrong type": (answers(b'{"status":"success","data":{"resultType":"matrix","result":[]}}'), {}, "gives a matrix"),
    "two series": (vector("0", "9"), {}, "gives 2 series"),
    "NaN": (vector("NaN"), STRICT, "the value is NaN"),
    "infinite": (vector("+Inf"), STRICT, "the value is +Inf"),
    "empty": (vector(), STRICT, "finds no series"),
    "redirect": (answers(b"", 302, Location="https://elsewhere.example/"), {}, "sends elsewhere"),
    "huge": (answers(b" " * 5_000_000), {}, "answers with more than"),
    "503": (answers(b"", 503), {}, "answers 503"),
    "429": (answers(b"", 429, **{"Retry-After": "20"}), {}, "answers 429"),
    "401": (answers(b"", 401), {}, "refuses the credentials"),
    "no API": (answers(b"<html>login</html>"), {}, "none of Prometheus' API"),
    "partial": (
        answers(b'{"status":"success","warnings":["store down"],"data":{"resultType":"vector","result":[]}}'),
        {},
        "not whole: store down",
    ),
}  # fmt: skip


def play(
    folder: Path,
    story: Callable[[Classic, Page, MonitoringServer], Awaitable[None]],
    **rule: object,
) -> None:
    async def main(clock: LabClock) -> None:
        page = Page()
        async with a_prometheus(clock, page) as prometheus:
            rules = f"{a_target(prometheus.url)}---\n{a_rule(prometheus.url, **rule)}"  # type: ignore[arg-type]
            async with a_classic(clock, folder, rules) as classic:
                await story(classic, page, prometheus)

    run_lockstep(main)


def reading(classic: Classic) -> str:
    """Return why the trigger has no value now."""
    found = classic.controller.loop.state.policies["default/classic"].readings["pending"]
    return found.message if found.value_milli is None else ""


@pytest.mark.parametrize(
    "fault", [name if name == "half-open" else pytest.param(name, marks=pytest.mark.long) for name in FAULTS]
)
def test_a_fault_moves_nothing_and_is_told(fault: str, tmp_path: Path) -> None:
    what, metadata, words = FAULTS[fault]

    async def story(classic: Classic, page: Page, prometheus: MonitoringServer) -> None:
        prometheus.fault = what
        page.pending = 4
        await classic.clock.sleep(300)
        assert classic.replicas == 0, "nothing is bought on no value"
        assert words in reading(classic)
        prometheus.fault = None
        page.pending = 2
        await classic.clock.sleep(150)
        assert (classic.replicas, reading(classic)) == (2, "")
        prometheus.fault = what
        for pending in (0, 4):  # what it would say would give up, or buy
            page.pending = pending
            await classic.clock.sleep(400)
            assert words in reading(classic)
            assert classic.replicas == 2, "nothing is given up, and nothing bought, on no value"
        prometheus.fault = None
        page.pending = 0
        await classic.clock.sleep(600)
        assert (classic.replicas, reading(classic)) == (0, "")

    play(tmp_path, story, metadata=metadata)


def test_a_prometheus_that_is_down_and_comes_back(tmp_path: Path) -> None:
    async def main(clock: LabClock) -> None:
        page = Page()
        async with AsyncExitStack() as later:
            async with a_prometheus(clock, page) as first:
                url, port = first.url, int(first.url.rpartition(":")[2])
                running = a_classic(clock, tmp_path, f"{a_target(url)}---\n{a_rule(url)}")
                classic = await later.enter_async_context(running)
                page.pending = 3
                await clock.sleep(200)
                assert classic.replicas == 3
            page.pending = 0
            await clock.sleep(1_200)
            assert "no connection" in reading(classic)
            assert classic.replicas == 3
            async with a_prometheus(clock, page, port=port):
                await clock.sleep(900)
                assert classic.replicas == 0

    run_lockstep(main)


def test_no_result_is_zero_where_nothing_else_is_said(tmp_path: Path) -> None:
    async def story(classic: Classic, page: Page, prometheus: MonitoringServer) -> None:
        page.pending = 2
        await classic.clock.sleep(150)
        assert classic.replicas == 2
        prometheus.fault = vector("NaN")
        await classic.clock.sleep(900)
        assert (classic.replicas, reading(classic)) == (0, ""), "as in KEDA: ignoreNullValues is true by default"

    play(tmp_path, story)


def test_a_fallback_that_is_declared_stands_in(tmp_path: Path) -> None:
    async def story(classic: Classic, page: Page, prometheus: MonitoringServer) -> None:
        page.pending = 1
        await classic.clock.sleep(150)
        assert classic.replicas == 1
        prometheus.fault = silence
        await classic.clock.sleep(600)
        assert classic.replicas == 3
        prometheus.fault = None
        await classic.clock.sleep(900)
        assert classic.replicas == 1

    play(tmp_path, story, fallback={"failureThreshold": 2, "replicas": 3})


def test_nothing_of_a_failing_server_reaches_the_ledger_but_a_sentence(tmp_path: Path) -> None:
    async def story(classic: Classic, page: Page, prometheus: MonitoringServer) -> None:
        prometheus.fault = answers(b"SECRET OF SOMEBODY ELSE" * 100, 500)
        await classic.clock.sleep(120)

    play(tmp_path, story)
    written = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
    assert b"answers 500" in written
    assert b"SECRET OF SOMEBODY ELSE" not in written


def test_a_wrong_ca_and_the_right_one(tmp_path: Path) -> None:
    """Over TLS, with a token out of a Secret of the policy's namespace; neither is in anything that is written."""
    ours, theirs = Authority(), Authority()
    certificate, key = ours.issue("prometheus", hosts=("127.0.0.1",))
    (tmp_path / "pair").write_bytes(certificate + key)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "pair")
    token = "sesame-open-up"
    references = [{"parameter": name, "name": "thanos", "key": name} for name in ("bearerToken", "ca")]
    auth = {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "TriggerAuthentication",
        "metadata": {"name": "thanos", "namespace": "default"},
        "spec": {"secretTargetRef": references},
    }

    def prepare(site: Site) -> None:
        site.store.create("triggerauthentications.keda.sh", "default", auth)
        site.store.create(
            "secrets",
            "default",
            {
                "kind": "Secret",
                "apiVersion": "v1",
                "metadata": {"name": "thanos"},
                **a_secret(bearerToken=token, ca=theirs.pem.decode()),
            },
        )

    async def main(clock: LabClock) -> None:
        page = Page()
        page.pending = 2
        demands = {"Authorization": f"Bearer {token}"}
        async with a_prometheus(clock, page, tls=tls, demands=demands) as prometheus:
            trigger = {"authenticationRef": {"name": "thanos"}}
            rule = a_rule(prometheus.url, metadata={"authModes": "bearer,tls"}, trigger=trigger)
            async with a_classic(clock, tmp_path, f"{a_target(prometheus.url)}---\n{rule}", before=prepare) as classic:
                await clock.sleep(200)
                assert (classic.replicas, "not trusted" in reading(classic)) == (0, True)
                assert len(prometheus.asked) == 0
                classic.site.store.patch("secrets", "default", "thanos", a_secret(ca=ours.pem.decode()))
                await clock.sleep(200)
                assert (classic.replicas, reading(classic)) == (2, "")
                assert prometheus.asked

    with structlog.testing.capture_logs() as logs:
        run_lockstep(main)
    (tmp_path / "pair").unlink()
    written = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file()) + repr(logs).encode()
    assert b"not trusted" in written
    for secret in (token, base64.b64encode(token.encode()).decode()):
        assert secret.encode() not in written


def test_reads_are_counted(tmp_path: Path) -> None:
    async def story(classic: Classic, page: Page, prometheus: MonitoringServer) -> None:
        metrics = Metrics()
        Meter(metrics, classic.controller, classic.clock)
        metrics.polls = classic.controller.metrics.numbers
        await classic.clock.sleep(100)
        prometheus.fault = silence
        await classic.clock.sleep(100)
        text = metrics.exposition().decode()
        source = prometheus.url
        assert f'burster_metric_reads_total{{outcome="ok",source="{source}"}}' in text
        assert f'burster_metric_reads_total{{outcome="timeout",source="{source}"}}' in text
        assert "burster_metric_queries 1.0" in text
        assert "burster_metric_queries_failing 1.0" in text

    play(tmp_path, story)
