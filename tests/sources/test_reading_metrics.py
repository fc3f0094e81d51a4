"""What a trigger reads: from an application's page, from Kubernetes' own metrics, and with whose credentials."""

import pytest
from aiohttp import web

from burster.clients.kube import Kube, KubeSettings
from burster.clients.metric_addresses import Addresses
from burster.clients.metric_errors import MetricError
from burster.clients.metric_http import MetricHttp
from burster.lab.monitoring.server import MonitoringServer
from burster.model.addresses import LOOPBACK
from burster.model.errors import RemoteError
from burster.model.stimuli import PodUse
from burster.model.triggers import ExternalTrigger, KubernetesWorkloadTrigger, ResourceTrigger, WorkloadRef
from burster.sources.metrics import MetricReader, Number
from burster.sources.pod_use import Use
from burster.sources.trigger_auth import TriggerAuth
from tests.support.metrics import FakeKube, a_page, a_query, a_reader, access, credentials


PODS = "/api/v1/namespaces/bank/pods"
METRICS = "/apis/metrics.k8s.io/v1beta1/namespaces/bank/pods"
WORKLOAD = "/apis/apps/v1/namespaces/bank/deployments/web"
QUEUE = "/apis/external.metrics.k8s.io/v1beta1/namespaces/bank/s0-prometheus"
SECRET = "sesame-open-up"


def a_server(page: str = "jobs 4\n", **changes) -> MonitoringServer:
    return MonitoringServer(lambda: page, lambda: 0, **changes)


async def fails(kube, trigger) -> MetricError:
    async with a_reader(kube) as reader:
        with pytest.raises(MetricError) as caught:
            await reader.read("bank", trigger, 0.0)
    return caught.value


# --- over HTTP ---------------------------------------------------------------------------------------------------------


async def test_an_applications_own_page():
    async with a_server() as server, a_reader() as reader:
        trigger = a_page(f"{server.url}/metrics", "jobs", format="prometheus")
        assert await reader.read("bank", trigger, 0.0) == Number(4_000)
        assert [asked.path for asked in server.asked] == ["/metrics"]


async def test_a_large_page_is_read_as_well():
    page = "".join(f"other{number} 1\n" for number in range(50_000)) + "jobs 4\n"
    async with a_server(page) as server, a_reader() as reader:
        trigger = a_page(f"{server.url}/metrics", "jobs", format="prometheus")
        assert await reader.read("bank", trigger, 0.0) == Number(4_000)


async def test_the_credentials_go_with_the_query_and_everything_else_that_was_said():
    demands = {"Authorization": f"Bearer {SECRET}"}
    async with a_server(demands=demands) as server, a_reader(credentials(bearerToken=SECRET)) as reader:
        trigger = a_query(
            server.url,
            "sum(jobs)",
            namespace="tenant",
            query_parameters={"dedup": "false", "a b": "&="},
            access=access("bearer", headers={"X-Scope-OrgID": "bank"}),
        )
        assert await reader.read("bank", trigger, 0.0) == Number(4_000)
        (asked,) = server.asked
        expected = (("query", "sum(jobs)"), ("namespace", "tenant"), ("dedup", "false"), ("a b", "&="))
        assert asked.query == expected
        assert asked.headers["X-Scope-OrgID"] == "bank"


async def test_bursters_own_token_goes_to_the_api_server_and_nowhere_else(tmp_path):
    config = tmp_path / "kubeconfig"
    async with a_server() as api, a_server() as server, MetricHttp(Addresses(networks=LOOPBACK)) as http:
        config.write_text(
            f"""{{apiVersion: v1, kind: Config, current-context: c, contexts: [{{name: c, context: {{cluster: c, user: u}}}}],
            clusters: [{{name: c, cluster: {{server: "{api.url}"}}}}], users: [{{name: u, user: {{token: {SECRET}}}}}]}}"""
        )
        async with await Kube.connect(KubeSettings(kubeconfig=str(config))) as kube:
            reader = MetricReader(http, kube, TriggerAuth(kube, "burster-system"))
            await reader.read("bank", a_query(server.url, "sum(jobs)"), 0.0)
            await reader.read("bank", a_page(f"{server.url}/metrics", "jobs", format="prometheus"), 0.0)
            # also not where the API server itself is asked for its metrics
            await reader.read("bank", a_page(f"{api.url}/metrics", "jobs", format="prometheus"), 0.0)
            with pytest.raises(MetricError):
                await reader.read("bank", a_query(server.url, access=access("bearer")), 0.0)
        assert [asked.path for asked in server.asked] == ["/api/v1/query", "/metrics"]
        assert SECRET not in repr(server.asked)
        shown = {asked.path: asked.headers.get("Authorization") for asked in api.asked}
        auth = "/apis/keda.sh/v1alpha1/namespaces/bank/triggerauthentications/thanos"
        assert shown == {"/metrics": None, auth: f"Bearer {SECRET}"}


async def test_a_server_that_says_the_token_back_does_not_bring_it_into_a_message():
    async def echo(request: web.Request) -> web.Response:
        told = {"status": "error", "error": f"bad token {request.headers['Authorization']}"}
        return web.json_response(told, status=422)

    async with a_server() as server:
        server.fault = echo
        error = await fails(credentials(bearerToken=SECRET), a_query(server.url, access=access("bearer")))
    assert SECRET not in str(error)
    assert "bad token Bearer ***" in str(error)


async def test_a_token_that_was_renewed_is_read_anew_once_the_old_one_is_refused():
    kube = credentials(bearerToken="old-token")
    async with a_server(demands={"Authorization": "Bearer new-token"}) as server, a_reader(kube) as reader:
        trigger = a_query(server.url, "sum(jobs)", access=access("bearer"))
        with pytest.raises(MetricError):
            await reader.read("bank", trigger, 0.0)
        kube.objects |= credentials(bearerToken="new-token").objects
        assert await reader.read("bank", trigger, 1.0) == Number(4_000)


@pytest.mark.parametrize(
    ("warning", "whole"),
    [
        ('fetch series for {prometheus="b"}: rpc error: connection refused', False),
        ("PromQL info: metric might not be a counter, name does not end in _total", True),
    ],
)
async def test_an_answer_that_lacks_data_is_no_value(warning, whole):
    async with a_server() as server, a_reader() as reader:
        server.warnings = (warning,)
        if whole:
            assert await reader.read("bank", a_query(server.url, "sum(jobs)"), 0.0) == Number(4_000)
            return
        with pytest.raises(MetricError, match="not whole: fetch series") as caught:
            await reader.read("bank", a_query(server.url, "sum(jobs)"), 0.0)
        assert caught.value.fault == "partial"


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html>hello</html>", b"[]", b"{}", b'{"status":"success"}', b'{"status":"success","data":{"resultType":"vector"}}',
        b'{"status":"success","data":{"resultType":"vector","result":[{"value":[1]}]}}',
        b'{"status":"success","data":{"resultType":"vector","result":[{"value":[1,"x"]}]}}',
        b'{"status":"success","data":{"resultType":"scalar","result":"1"}}',
        b'{"status":"error","error":"no"}', b"[" * 100_000, b"\xff",
    ],
)  # fmt: skip
async def test_what_is_no_answer_of_prometheus(body):
    async def odd(_: web.Request) -> web.Response:
        return web.Response(body=body)

    async with a_server() as server:
        server.fault = odd
        assert (await fails(FakeKube(), a_query(server.url))).fault == "protocol"


async def test_a_histogram_is_no_number():
    async def native(_: web.Request) -> web.Response:
        series = [{"metric": {}, "histogram": [1, {"count": "2"}]}]
        return web.json_response({"status": "success", "data": {"resultType": "vector", "result": series}})

    async with a_server() as server:
        server.fault = native
        assert (await fails(FakeKube(), a_query(server.url))).fault == "wrong_type"


@pytest.mark.parametrize(
    "changes",
    [
        {"aws_region": "eu-west-1"},
        {"server_address": "http://127.0.0.1:1/?a=b"},
        {"access": access("apiKey")},
        {"access": access("oauth")},
    ],
)
async def test_what_burster_can_not_ask_is_said_so(changes):
    kube = credentials(apiKey="x")
    assert (await fails(kube, a_query("http://127.0.0.1:1", **changes))).fault == "unsupported"


async def test_endpoints_behind_a_service_are_not_read():
    trigger = a_page("http://127.0.0.1:1", "a", aggregate_from_kube_service_endpoints=True)
    assert (await fails(FakeKube(), trigger)).fault == "unsupported"


# --- from Kubernetes ---------------------------------------------------------------------------------------------------


def a_pod(
    name: str, *, node: str = "", phase: str = "Running", ready: bool = True, cpu: str | None = "500m", **metadata
):
    requests = {"requests": {"cpu": cpu, "memory": "1Gi"}} if cpu else {}
    return {
        "metadata": {"name": name, **metadata},
        "spec": {"nodeName": node or None, "containers": [{"name": "app", "resources": requests}, {"name": "log"}][:1]},
        "status": {
            "phase": phase,
            "startTime": "2026-01-05T08:00:00Z",
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }


def used(name: str, cpu: str = "250m", memory: str = "512Mi"):
    return {"metadata": {"name": name}, "containers": [{"name": "app", "usage": {"cpu": cpu, "memory": memory}}]}


async def test_pods_are_counted_by_label():
    kube = FakeKube({PODS: {"items": [a_pod("a", node="n1"), a_pod("b", node="n1"), a_pod("c", phase="Pending")]}})
    async with a_reader(kube) as reader:
        trigger = KubernetesWorkloadTrigger(name="pods", pod_selector="app=web,tier in (a,b)")
        assert await reader.read("bank", trigger, 0.0) == Number(3_000)
        assert kube.params == [
            {
                "labelSelector": "app=web,tier in (a,b)",
                "fieldSelector": "status.phase!=Succeeded,status.phase!=Failed",
            }
        ]
        grouped = KubernetesWorkloadTrigger(name="pods", pod_selector="app=web", group_by_node=True)
        assert await reader.read("bank", grouped, 0.0) == Number(1_000)


def a_measured(resource="cpu", **changes) -> ResourceTrigger:
    return ResourceTrigger(name=resource, resource=resource, source=WorkloadRef(name="web"), **changes)


def a_workload(**selector):
    return {"spec": {"replicas": 3, "selector": selector or {"matchLabels": {"app": "web"}}}}


async def test_the_use_of_each_pod_of_a_workload():
    pods = [
        a_pod("a"),
        a_pod("b", ready=False),
        a_pod("c", phase="Pending", ready=False),
        a_pod("d", deletionTimestamp="2026-01-05T08:00:00Z"),
        a_pod("e", phase="Failed"),
        a_pod("f", cpu=None),
    ]
    kube = FakeKube(
        {
            WORKLOAD: a_workload(),
            PODS: {"items": pods},
            METRICS: {"items": [used("a"), used("b", cpu="1500000n"), used("f"), used("gone")]},
        }
    )
    started = 1_767_600_000_000
    async with a_reader(kube) as reader:
        assert await reader.read("bank", a_measured(), 0.0) == Use(
            3,
            (
                PodUse(usage=250, request=500, started_at_ms=started),
                PodUse(usage=2, request=500, ready=False, started_at_ms=started),
                PodUse(usage=None, request=500, ready=False),
                PodUse(usage=250, request=0, started_at_ms=started),
            ),
        )
        memory = await reader.read("bank", a_measured("memory"), 0.0)
        assert memory.pods[0] == PodUse(usage=512 * 1024**2, request=1024**3, started_at_ms=started)
    assert {params.get("labelSelector") for params in kube.params} == {None, "app=web,!burster.dev/burst"}


async def test_one_container_of_each_pod():
    kube = FakeKube({WORKLOAD: a_workload(), PODS: {"items": [a_pod("a")]}, METRICS: {"items": [used("a")]}})
    async with a_reader(kube) as reader:
        (pod,) = (await reader.read("bank", a_measured(container="app"), 0.0)).pods
        assert (pod.usage, pod.request) == (250, 500)
        (pod,) = (await reader.read("bank", a_measured(container="log"), 0.0)).pods
        assert pod.usage is None


async def test_every_kind_of_label_selector():
    expressions = [
        {"key": "tier", "operator": "In", "values": ["a", "b"]},
        {"key": "old", "operator": "DoesNotExist"},
        {"key": "new", "operator": "Exists"},
        {"key": "zone", "operator": "NotIn", "values": ["c"]},
    ]
    kube = FakeKube({WORKLOAD: a_workload(matchExpressions=expressions), PODS: {"items": []}, METRICS: {"items": []}})
    async with a_reader(kube) as reader:
        await reader.read("bank", a_measured(), 0.0)
    assert kube.params[1]["labelSelector"] == "tier in (a,b),!old,new,zone notin (c),!burster.dev/burst"


@pytest.mark.parametrize(
    ("objects", "fault"),
    [
        ({}, "client_error"),
        ({WORKLOAD: a_workload(matchLabels={})}, "unsupported"),
        ({WORKLOAD: a_workload(), PODS: {"items": []}}, "client_error"),
        ({WORKLOAD: b"[", PODS: {"items": []}}, "protocol"),
        ({WORKLOAD: a_workload(), PODS: {"items": [a_pod("a", cpu="much")]}, METRICS: {"items": []}}, "protocol"),
        ({WORKLOAD: RemoteError("Unauthorized", "forbidden")}, "auth"),
        ({WORKLOAD: RemoteError("Throttled", "later", retry_after_ms=5)}, "throttled"),
        ({WORKLOAD: RemoteError("Unavailable", "etcd")}, "server_error"),
    ],
)
async def test_a_workload_that_can_not_be_measured(objects, fault):
    assert (await fails(FakeKube(objects), a_measured())).fault == fault


def an_external(name: str, selector: str = "") -> ExternalTrigger:
    return ExternalTrigger(name="queue", metric_name=name, metric_selector=selector)


async def test_an_external_metric_is_the_sum_of_its_values():
    kube = FakeKube({QUEUE: {"items": [{"value": "1500m"}, {"value": "2k"}, {"value": "-3"}]}})
    async with a_reader(kube) as reader:
        selector = "scaledobject.keda.sh/name=queue"
        trigger = an_external("s0-prometheus", selector)
        # the HPA adds up whatever the values are (GetExternalMetricReplicas): 1.5 + 2000 - 3
        assert await reader.read("bank", trigger, 0.0) == Number(1_998_500)
        assert kube.params == [{"labelSelector": selector}]


@pytest.mark.parametrize(
    ("values", "milli"),
    [
        (["0"], 0),
        (["100u"], 1),  # MilliValue rounds up
        (["1", "1Ki", "250m", "1e3"], 2_025_250),
        (["2", "-5"], 0),
        (["-100u", "1"], 999),  # and away from zero
        (["9223372036854775"], 9_223_372_036_854_775_000),
    ],
)
async def test_quantities_are_added_up_in_thousandths(values, milli):
    kube = FakeKube({QUEUE: {"items": [{"value": each} for each in values]}})
    async with a_reader(kube) as reader:
        assert await reader.read("bank", an_external("s0-prometheus"), 0.0) == Number(milli)


@pytest.mark.parametrize(
    ("items", "fault"),
    [
        ([{"value": "--1"}], "protocol"),
        ([{"value": "-+1"}], "protocol"),
        ([], "no_value"),
        ([{"value": "x"}], "protocol"),
        ([{}], "protocol"),
        (7, "protocol"),
    ],
)
async def test_an_external_metric_without_a_value(items, fault):
    kube = FakeKube({QUEUE: {"items": items}})
    assert (await fails(kube, an_external("s0-prometheus"))).fault == fault


@pytest.mark.parametrize("name", ["", "../../../api/v1/secrets", "a/b", "..", "a?b", "a b"])
async def test_a_name_that_is_none_is_not_asked_for(name):
    kube = FakeKube()
    assert (await fails(kube, an_external(name))).fault == "location"
    assert kube.asked == []
