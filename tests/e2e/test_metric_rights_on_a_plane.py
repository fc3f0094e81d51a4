"""On a real API server, as burster's own account: which Secrets metric triggers can read by deploy/opt-in, and which they can't."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from burster.clients.kube import Kube, KubeSettings
from burster.clients.metric_addresses import Addresses
from burster.clients.metric_errors import MetricError
from burster.clients.metric_http import MetricHttp
from burster.lab.monitoring.server import MonitoringServer
from burster.model.addresses import LOOPBACK
from burster.model.errors import RemoteError
from burster.model.triggers import AuthRef, ExternalTrigger, HttpAccess, KubernetesWorkloadTrigger
from burster.sources.metrics import MetricReader, Number
from burster.sources.trigger_auth import ENDPOINTS_ANNOTATION, TriggerAuth
from tests.docs.test_rights_of_metrics import TOKEN, an_auth, an_object
from tests.e2e.processes import kubectl, until
from tests.support.classic import KEDA_KINDS, a_definition
from tests.support.control_plane import ControlPlane
from tests.support.metrics import a_query, a_secret


pytestmark = [pytest.mark.long, pytest.mark.plane, pytest.mark.timeout(300)]
DEPLOY = Path(__file__).parents[2] / "deploy"
OWN = AuthRef(name="own")
SHARED = AuthRef(name="shared", kind="ClusterTriggerAuthentication")


def rendered(folder: str) -> list[dict]:
    made = subprocess.run(
        [Path(sys.executable).with_name("kubectl"), "kustomize", DEPLOY / folder],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return list(yaml.safe_load_all(made.stdout))


def objects() -> list[dict]:
    """What two teams and the platform team have applied: the first team opted in to metrics, the second did not."""
    found = [an_object("v1", "Namespace", name) for name in ("bank", "shop")]
    found += [each for each in rendered(".") if each["kind"] != "Deployment"]
    for folder in ("opt-in", "opt-in/metrics"):
        for each in rendered(folder):
            each["metadata"]["namespace"] = "bank"
            found.append(each)
    found += rendered("opt-in/cluster-metrics")
    for namespace, name in (
        *(("bank", "thanos"), ("shop", "thanos")),
        *(("burster-system", "burster-metrics"), ("burster-system", "other")),
    ):
        secret = an_object("v1", "Secret", name, **a_secret(token=TOKEN))
        secret["metadata"]["namespace"] = namespace
        found.append(secret)
    pod = an_object("v1", "Pod", "web", spec={"containers": [{"name": "a", "image": "a"}]})
    pod["metadata"] |= {"namespace": "bank", "labels": {"app": "web"}}
    return [*found, pod]


def auths() -> list[dict]:
    found = [an_auth("ClusterTriggerAuthentication", "shared", "burster-metrics")]
    for namespace in ("bank", "shop"):
        one = an_auth("TriggerAuthentication", "own", "thanos")
        one["metadata"]["namespace"] = namespace
        found.append(one)
    return found


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A plane on which all of this is applied; the file that burster's account gets in by."""
    folder = tmp_path_factory.mktemp("plane")
    with ControlPlane(folder, controllers=("serviceaccount",), scheduler=False) as plane:

        def apply(objects: list[dict]) -> None:
            kubectl(plane.kubeconfig, "apply", plane.validation, "-f", "-", stdin=yaml.safe_dump_all(objects))

        def applied() -> bool:
            try:
                apply(auths())
            except AssertionError:
                return False
            return True

        apply([a_definition(kind, namespaced=namespaced) for kind, namespaced in KEDA_KINDS.items()])
        apply([each for each in objects() if each["kind"] == "Namespace"])
        until(
            "accounts are made", lambda: "default" in kubectl(plane.kubeconfig, "get", "sa", "-n", "bank"), timeout_s=60
        )
        apply([each for each in objects() if each["kind"] != "Namespace"])
        until("KEDA's kinds are served", applied, timeout_s=30)
        yield plane.folder / "burster.kubeconfig"


async def test_a_team_that_opted_in_has_its_own_secrets_read_and_nobody_elses(kubeconfig: Path) -> None:
    settings = KubeSettings(kubeconfig=str(kubeconfig))
    demands = {"Authorization": f"Bearer {TOKEN}"}
    async with (
        MonitoringServer(lambda: "jobs 4\n", lambda: 0, demands=demands) as server,
        await Kube.connect(settings) as kube,
        MetricHttp(Addresses(networks=LOOPBACK)) as http,
    ):
        reader = MetricReader(http, kube, TriggerAuth(kube, "burster-system"))

        async def read(namespace: str, ref: AuthRef) -> Number:
            trigger = a_query(server.url, "sum(jobs)", access=HttpAccess(auth_modes=("bearer",), auth=ref))
            found = await reader.read(namespace, trigger, asyncio.get_running_loop().time())
            assert isinstance(found, Number)
            return found

        with pytest.raises(MetricError, match="must list it in its annotation"):
            await read("shop", SHARED)
        admin, kind = kubeconfig.with_name("kubeconfig"), "clustertriggerauthentications.keda.sh"
        await asyncio.to_thread(kubectl, admin, "annotate", kind, "shared", f"{ENDPOINTS_ANNOTATION}={server.url}")
        assert await read("bank", OWN) == Number(4_000)
        assert await read("shop", SHARED) == Number(4_000)
        with pytest.raises(MetricError, match=r"own can't be read .burster has no right to"):
            await read("shop", OWN)
        pods = KubernetesWorkloadTrigger(name="pods", pod_selector="app=web")
        assert await reader.read("bank", pods, 0.0) == Number(1_000)
        # nobody serves external metrics here: with the right to ask for them that is what is told, without it the right
        external = ExternalTrigger(name="queue", metric_name="depth")
        for namespace, fault in (("bank", "client_error"), ("shop", "auth")):
            with pytest.raises(MetricError) as caught:
                await reader.read(namespace, external, 0.0)
            assert caught.value.fault == fault
        # burster's own token has not been shown to anybody but the API server
        assert {asked.headers["Authorization"] for asked in server.asked} == {f"Bearer {TOKEN}"}


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/namespaces/shop/secrets/thanos",
        "/api/v1/namespaces/burster-system/secrets/other",
        "/api/v1/namespaces/bank/secrets",
        "/api/v1/secrets",
        "/apis/keda.sh/v1alpha1/triggerauthentications",
        "/apis/keda.sh/v1alpha1/clustertriggerauthentications",
    ],
)
async def test_what_burster_is_refused(kubeconfig: Path, path: str) -> None:
    async with await Kube.connect(KubeSettings(kubeconfig=str(kubeconfig))) as kube:
        with pytest.raises(RemoteError) as caught:
            await kube.get(path)
    assert (caught.value.kind, caught.value.status) == ("Unauthorized", 403)
