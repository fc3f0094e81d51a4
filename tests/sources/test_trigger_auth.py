"""TriggerAuthentications become credentials: from the policy's own namespace, by name, and without a word of it anywhere."""

import pytest

from burster.clients.metric_errors import MetricError
from burster.model.errors import RemoteError
from burster.model.triggers import AuthRef
from burster.sources.trigger_auth import TriggerAuth
from tests.support.metrics import AUTH, FakeKube, a_secret, an_auth, credentials


CLUSTER = AuthRef(name="shared", kind="ClusterTriggerAuthentication")
CLUSTER_PATH = "/apis/keda.sh/v1alpha1/clustertriggerauthentications/shared"
BANK = "/apis/keda.sh/v1alpha1/namespaces/bank/triggerauthentications/thanos"


THANOS = "https://thanos.monitoring.svc:9092"


async def resolve(kube: FakeKube, ref: AuthRef = AUTH, namespace: str = "bank", url: str = f"{THANOS}/api/v1/query"):
    return await TriggerAuth(kube, "burster-system").resolve(namespace, ref, 0.0, url)


async def fails(kube: FakeKube, ref: AuthRef = AUTH) -> MetricError:
    with pytest.raises(MetricError) as caught:
        await resolve(kube, ref)
    return caught.value


async def test_a_secret_of_the_policys_namespace():
    kube = credentials(bearerToken="sesame", ca="PEM")
    found = await resolve(kube)
    assert (found.get("bearerToken"), found.get("ca")) == ("sesame", "PEM")
    assert set(kube.asked) == {BANK, "/api/v1/namespaces/bank/secrets/thanos-token"}


async def test_only_what_is_used_is_read():
    kube = FakeKube(an_auth(host="host"))
    assert (await resolve(kube)).get("host") == ""
    assert kube.asked == [BANK]


async def test_a_config_map_of_the_same_namespace():
    reference = {"parameter": "ca", "name": "service-ca", "key": "service-ca.crt"}
    kube = FakeKube(
        {
            BANK: {"spec": {"configMapTargetRef": [reference]}},
            "/api/v1/namespaces/bank/configmaps/service-ca": {"data": {"service-ca.crt": "PEM"}},
        }
    )
    assert (await resolve(kube)).get("ca") == "PEM"


def for_endpoints(endpoints: str, spec: dict) -> dict:
    return {"metadata": {"annotations": {"burster.dev/metric-endpoints": endpoints}}, "spec": spec}


@pytest.mark.parametrize(
    ("found", "url"),
    [
        ({}, THANOS),
        (for_endpoints("", {}), THANOS),
        (for_endpoints("*", {}), THANOS),
        (for_endpoints(THANOS, {}), "https://mallory.svc:9092/api"),
        (for_endpoints(THANOS, {}), "http://thanos.monitoring.svc:9092/api"),
        (for_endpoints(f"{THANOS}0, https://thanos.monitoring.svc", {}), THANOS),
        (for_endpoints(THANOS, {}), ""),
    ],
)
async def test_the_clusters_own_goes_nowhere_but_to_the_endpoints_that_it_names_itself(found, url):
    reference = {"parameter": "bearerToken", "name": "token", "key": "token"}
    found["spec"] = {"secretTargetRef": [reference]}
    kube = FakeKube({CLUSTER_PATH: found, "/api/v1/namespaces/burster-system/secrets/token": a_secret(token="ours")})
    with pytest.raises(MetricError, match=r"must list it in its annotation burster\.dev/metric-endpoints") as caught:
        await resolve(kube, CLUSTER, url=url)
    assert caught.value.fault == "not_allowed"
    assert kube.asked == [CLUSTER_PATH], "not even read"


async def test_leave_for_one_endpoint_is_none_for_another():
    reference = {"parameter": "bearerToken", "name": "token", "key": "token"}
    kube = FakeKube(
        {
            CLUSTER_PATH: for_endpoints(f"https://other:1, {THANOS}", {"secretTargetRef": [reference]}),
            "/api/v1/namespaces/burster-system/secrets/token": a_secret(token="ours"),
        }
    )
    auth = TriggerAuth(kube, "burster-system")
    assert (await auth.resolve("bank", CLUSTER, 0.0, THANOS)).get("bearerToken") == "ours"
    with pytest.raises(MetricError, match="is not for https://mallory:443"):
        await auth.resolve("bank", CLUSTER, 1.0, "https://mallory")


async def test_the_clusters_own_takes_secrets_of_bursters_namespace_and_no_other():
    reference = {"parameter": "bearerToken", "name": "token", "key": "token"}
    kube = FakeKube(
        {
            CLUSTER_PATH: for_endpoints(THANOS, {"secretTargetRef": [reference]}),
            "/api/v1/namespaces/burster-system/secrets/token": a_secret(token="ours"),
            "/api/v1/namespaces/bank/secrets/token": a_secret(token="theirs"),
        }
    )
    assert (await resolve(kube, CLUSTER)).get("bearerToken") == "ours"
    assert kube.asked == [CLUSTER_PATH, "/api/v1/namespaces/burster-system/secrets/token"]


@pytest.mark.parametrize(
    "name", ["../../kube-system/secrets/root", "a/../b", "a%2f..", "..", "", "a?b", "A", "a/b", "a..b", "x" * 254]
)
async def test_a_name_that_would_lead_elsewhere_is_not_asked_for(name):
    kube = FakeKube({BANK: {"spec": {"secretTargetRef": [{"parameter": "bearerToken", "name": name, "key": "k"}]}}})
    assert (await fails(kube)).fault == "auth"
    assert kube.asked == [BANK]


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        ({"env": [{"parameter": "bearerToken", "name": "TOKEN"}]}, "env"),
        (
            {"boundServiceAccountToken": [{"parameter": "bearerToken", "serviceAccountName": "x"}]},
            "boundServiceAccount",
        ),
        ({"podIdentity": {"provider": "azure-workload"}}, "podIdentity"),
        ({"hashiCorpVault": {"address": "https://vault"}}, "hashiCorpVault"),
        ({"filePath": "/etc/shadow"}, "filePath"),
        ({"oauth2": {"type": "clientCredentials"}}, "oauth2"),
    ],
)
async def test_what_needs_an_identity_of_bursters_is_refused(spec, word):
    error = await fails(FakeKube({BANK: {"spec": spec}}))
    assert (error.fault, word in str(error)) == ("unsupported", True)


async def test_no_pod_identity_is_none():
    assert (await resolve(FakeKube({BANK: {"spec": {"podIdentity": {"provider": "none"}}}}))).get("token") == ""


@pytest.mark.parametrize(
    ("objects", "words"),
    [
        ({}, "TriggerAuthentication thanos can't be read (it is not there)"),
        ({BANK: b"{"}, "makes no sense"),
        ({BANK: {"spec": {"secretTargetRef": 7}}}, "makes no sense"),
        ({BANK: {"spec": {"secretTargetRef": [{"parameter": "ca", "name": "a", "key": "b"}] * 33}}}, "more than 32"),
        (an_auth(bearerToken="token"), "Secret bank/thanos-token can't be read (it is not there)"),
        (
            {**an_auth(bearerToken="token"), "/api/v1/namespaces/bank/secrets/thanos-token": a_secret(other="sesame")},
            "Secret bank/thanos-token has no key 'token'",
        ),
        (
            {**an_auth(bearerToken="t"), "/api/v1/namespaces/bank/secrets/thanos-token": {"data": {"t": "c2VzYW1l!"}}},
            "holds no text",
        ),
        (
            {**an_auth(bearerToken="t"), "/api/v1/namespaces/bank/secrets/thanos-token": {"data": {"t": "//79"}}},
            "holds no text",
        ),
        (
            {
                **an_auth(bearerToken="t"),
                "/api/v1/namespaces/bank/secrets/thanos-token": RemoteError("Unauthorized", "forbidden"),
            },
            "burster has no right to: see deploy/opt-in/metrics",
        ),
    ],
)
async def test_what_can_not_be_had_is_told_without_a_content(objects, words):
    error = await fails(FakeKube(objects))
    assert error.fault == "auth"
    assert words in str(error)
    assert "sesame" not in str(error)
    assert "c2VzYW1l" not in str(error)


async def test_what_was_read_is_kept_for_a_minute_and_forgotten_when_refused():
    kube = credentials(bearerToken="old")
    auth = TriggerAuth(kube, "burster-system")
    assert (await auth.resolve("bank", AUTH, 0.0)).get("bearerToken") == "old"
    kube.objects["/api/v1/namespaces/bank/secrets/thanos-token"] = a_secret(bearerToken="new")
    assert (await auth.resolve("bank", AUTH, 59.9)).get("bearerToken") == "old"
    assert (await auth.resolve("bank", AUTH, 60.0)).get("bearerToken") == "new"
    kube.objects["/api/v1/namespaces/bank/secrets/thanos-token"] = a_secret(bearerToken="newer")
    auth.forget("bank", AUTH)
    assert (await auth.resolve("bank", AUTH, 60.1)).get("bearerToken") == "newer"


async def test_one_name_in_two_namespaces_is_two_credentials():
    kube = credentials(bearerToken="banks")
    kube.objects |= an_auth("shop", bearerToken="token")
    kube.objects["/api/v1/namespaces/shop/secrets/thanos-token"] = a_secret(token="shops")
    auth = TriggerAuth(kube, "burster-system")
    assert (await auth.resolve("bank", AUTH, 0.0)).get("bearerToken") == "banks"
    assert (await auth.resolve("shop", AUTH, 0.0)).get("bearerToken") == "shops"
