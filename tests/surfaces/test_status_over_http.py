import re
import socket

import aiohttp
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from burster.model.decisions import Decision, Reason
from burster.model.errors import InputError
from burster.model.pods import Resources
from burster.surfaces.http import HttpSurface, make_app
from burster.surfaces.metrics import LABEL_SETS_MAX, POLICIES_NAMED_MAX, SIGNALS_MAX, Metrics
from burster.surfaces.view import BudgetView, BurstView, OnPremView, PendingView, StatusView


DECISION = Decision(
    at_ms=3_000,
    verdict="Deny",
    policy="bank/classic",
    subject="bank/<script>alert(1)</script>",
    reasons=(Reason(code="Paused", sentence='The policy is "paused" & waits.'),),
)
VIEW = StatusView(
    at_ms=5_000,
    onprem=OnPremView(
        node_count=3,
        used=Resources(cpu_millicores=11_500, memory_bytes=2**33),
        allocatable=Resources(cpu_millicores=12_000, memory_bytes=2**34),
    ),
    pending_total=2,
    pending=(
        PendingView(pod="bank/batch-1", since_ms=1_000, requests=Resources(cpu_millicores=500), why="Too young."),
    ),
    bursts_by_phase={"Serving": 1},
    bursts=(BurstView(burst="bank/b-1", policy="bank/classic", pod="bank/b-1", phase="Serving", vm="podvm-1"),),
    budgets=(BudgetView(owner="bank/classic", window="day", spent_micro_usd=1_500_000, limit_micro_usd=2_000_000),),
    spent_micro_usd=1_500_000,
    decisions_total=9,
    decisions=(DECISION,),
)


@pytest.fixture
async def site():
    """A controller's face over a view that the test may change."""

    class Site:
        view = VIEW
        complaint = ""
        metrics = Metrics(lambda: VIEW)

        async def get(self, path, method="GET"):
            async with session.request(method, surface.url + path) as response:
                return response.status, await response.text(), response.headers

    site = Site()
    app = make_app(lambda: site.view, site.metrics, ailing=lambda: site.complaint)
    async with HttpSurface(app, "127.0.0.1", 0) as surface, aiohttp.ClientSession() as session:
        yield site


async def test_probes_answer_for_different_things(site):
    assert (await site.get("/healthz"))[:2] == (200, "ok\n")
    assert (await site.get("/readyz"))[:2] == (200, "ok\n")
    site.view = StatusView(at_ms=0, ready=False, not_ready_because="pods have not been listed yet")
    assert (await site.get("/readyz"))[:2] == (503, "pods have not been listed yet\n")
    assert (await site.get("/healthz"))[0] == 200
    site.complaint = "the loop has not moved for 60s"
    for path in ("/healthz", "/livez"):
        assert (await site.get(path))[:2] == (503, "the loop has not moved for 60s\n")


async def test_a_replica_that_stands_by_is_ready_and_says_who_leads(site):
    site.view = StatusView(at_ms=0, leader=False, led_by="burster-<0>")
    assert (await site.get("/readyz"))[:2] == (200, "ok, standing by: burster-<0> leads\n")
    assert (await site.get("/livez"))[:2] == (200, "ok\n")
    assert "standing by: burster-&lt;0&gt; acts" in (await site.get("/"))[1]
    site.view = StatusView(at_ms=0, leader=False, ready=False, not_ready_because="the lease can't be read")
    assert (await site.get("/readyz"))[:2] == (503, "the lease can't be read\n")


async def test_status_is_the_view_as_json(site):
    status, text, headers = await site.get("/status")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert msgspec.json.decode(text, type=StatusView) == VIEW


async def test_the_page_shows_everything_and_trusts_nothing(site):
    status, text, headers = await site.get("/")
    assert status == 200
    for shown in (
        "On-prem: 3 nodes",
        "11.5 of 12 cores",
        "Pending pods: 2",
        "Too young.",
        "podvm-1",
        "of $2.0000",
        "9 decisions",
    ):
        assert shown in text
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "&quot;paused&quot; &amp; waits" in text
    assert not re.search(r"(src|href)=|url\(|@import", text)
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    ("view", "shown"),
    [
        pytest.param(
            StatusView(at_ms=0, ready=False, not_ready_because="no <pods>"),
            "not ready: no &lt;pods&gt;",
            id="not ready",
        ),
        pytest.param(StatusView(at_ms=0, dry_run=True), "dry run", id="a dry run"),
        pytest.param(StatusView(at_ms=0, draining=True), "coming home", id="a drain"),
        pytest.param(StatusView(at_ms=0, leader=False), "standing by", id="a standby"),
        pytest.param(StatusView(at_ms=0), "Bursts: none", id="an empty cluster"),
    ],
)
async def test_the_page_says_where_things_stand(site, view, shown):
    site.view = view
    assert shown in (await site.get("/"))[1]


async def test_metrics_can_be_scraped(site):
    site.metrics.decided([DECISION, DECISION])
    site.metrics.stepped(["PodSeen", "Tick"], 0.0004)
    site.metrics.instruction_ended("RecordBurst", "ok", 0.004)
    site.metrics.reacted(0.007)
    _, text, headers = await site.get("/metrics")
    assert headers["Content-Type"].startswith("text/plain")
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["burster_decisions_total", "Deny", "Paused", "bank/classic"] == 2
    assert samples["burster_stimuli_total", "PodSeen"] == 1
    assert samples["burster_reaction_seconds_bucket", "0.01"] == 1
    assert samples["burster_reaction_seconds_bucket", "0.005"] == 0
    assert samples["burster_pending_pods",] == 2
    assert samples["burster_bursts", "Serving"] == 1
    assert samples["burster_onprem_cpu_cores", "used"] == 11.5
    assert samples["burster_budget_usd", "bank/classic", "day"] == 2
    assert all(name.startswith("burster_") for name, *_ in samples)


async def test_what_nobody_adds_up_is_not_shown_as_nothing(site):
    there = Resources(cpu_millicores=12_000, memory_bytes=2**34)
    site.view = StatusView(at_ms=0, onprem=OnPremView(node_count=3, used_known=False, allocatable=there))
    _, page, _ = await site.get("/")
    assert "On-prem: 3 nodes" in page
    assert "12 cores, 16Gi; what so many pods ask for is not added up" in page
    text = Metrics(lambda: site.view).exposition().decode()
    assert 'burster_onprem_cpu_cores{what="allocatable"} 12.0' in text
    assert 'what="used"' not in text


def test_labels_are_bounded():
    metrics = Metrics()
    for index in range(LABEL_SETS_MAX + 50):
        metrics.decided([msgspec.structs.replace(DECISION, policy=f"bank-{index}/p")])
    series = [line for line in metrics.exposition().decode().splitlines() if line.startswith("burster_decisions_total")]
    assert len(series) == LABEL_SETS_MAX + 1
    assert 'burster_decisions_total{code="other",policy="other",verdict="other"} 50.0' in series


def test_one_namespace_s_policies_leave_labels_for_the_others():
    metrics = Metrics()
    for index in range(5_000):
        metrics.decided([msgspec.structs.replace(DECISION, policy=f"evil/p-{index}")])
    metrics.decided([msgspec.structs.replace(DECISION, policy="bank/classic")])
    series = [line for line in metrics.exposition().decode().splitlines() if line.startswith("burster_decisions_total")]
    assert len(series) == POLICIES_NAMED_MAX + 2
    assert sum('policy="evil/other"' in line and line.endswith(" 4980.0") for line in series) == 1
    assert sum('policy="bank/classic"' in line and line.endswith(" 1.0") for line in series) == 1


def test_the_numbers_that_policies_want_are_there_for_keda_to_read():
    metrics = Metrics(signals=lambda: [("bank/web", 3, True), ("bank/idle", 2, False)])
    wanted = [line for line in metrics.exposition().decode().splitlines() if line.startswith("burster_wanted_replicas")]
    assert wanted == [
        'burster_wanted_replicas{namespace="bank",policy="web"} 3.0',
        'burster_wanted_replicas{namespace="bank",policy="idle"} 0.0',
    ]
    many = Metrics(signals=lambda: ((f"bank/p-{number}", 1, True) for number in range(SIGNALS_MAX + 10)))
    assert many.exposition().decode().count("burster_wanted_replicas{") == SIGNALS_MAX


def test_metrics_work_before_there_is_anything_to_view():
    assert b"burster_build_info" in Metrics().exposition()


@pytest.mark.parametrize(
    ("method", "path", "want"), [("GET", "/nothing", 404), ("POST", "/status", 405), ("DELETE", "/", 405)]
)
async def test_there_is_nothing_to_change_it_by(site, method, path, want):
    status, _, headers = await site.get(path, method)
    assert status == want
    assert headers["X-Content-Type-Options"] == "nosniff"


async def test_a_view_that_fails_is_an_error_of_ours_and_the_server_lives(site):
    site.view = None
    status, text, _ = await site.get("/readyz")
    assert status == 500
    assert "Traceback" not in text
    site.view = VIEW
    assert (await site.get("/readyz"))[0] == 200


async def test_a_port_in_use_is_a_sentence():
    app = make_app(lambda: VIEW, Metrics())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=rf"127\.0\.0\.1:{port} is in use: .*BURSTER_HTTP__PORT"):
            async with HttpSurface(app, "127.0.0.1", port):
                pass


def test_reads_of_metrics_are_counted_by_server_and_outcome():
    metrics = Metrics(polls=lambda: (3, 5, 1, 12.5))
    metrics.metric_read("https://thanos:9092", "ok", 0.004)
    metrics.metric_read("https://thanos:9092", "timeout", 3.0)
    lines = metrics.exposition().decode().splitlines()
    assert 'burster_metric_reads_total{outcome="timeout",source="https://thanos:9092"} 1.0' in lines
    assert 'burster_metric_read_seconds_count{source="https://thanos:9092"} 2.0' in lines
    assert "burster_metric_queries 3.0" in lines
    assert "burster_metric_triggers 5.0" in lines
    assert "burster_metric_queries_failing 1.0" in lines
    assert "burster_metric_oldest_seconds 12.5" in lines
    for number in range(LABEL_SETS_MAX + 50):
        metrics.metric_read(f"https://s{number}:443", "ok", 0.1)
    reads = [line for line in metrics.exposition().decode().splitlines() if "burster_metric_reads_total{" in line]
    assert len(reads) == LABEL_SETS_MAX + 1
