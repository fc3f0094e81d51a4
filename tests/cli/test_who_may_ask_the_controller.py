"""deploy/view.yaml on an API server: with its rights the controller is asked, as whom the token says; with less it is not."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
import yaml

from burster.cli.cluster import ClusterRecords
from burster.cli.live_controller import LiveController
from burster.clients.controller import ControllerClient, NoControllerError
from burster.clients.kube import Kube, KubeSettings
from burster.clients.kube_sync import KubeSync
from burster.ledger import Ledger
from burster.model.errors import BursterError, InputError, RemoteError
from burster.runtime.askers import TokenGate
from burster.runtime.clock import SystemClock
from burster.surfaces.answers import HistoryQuery, NotFoundError
from burster.surfaces.spending import SpendQuery
from tests.cli import scenes
from tests.cli.conftest import tell_a_story
from tests.cli.scenes import T0, Scene, a_burst, a_state, put_burst
from tests.docs.rights import documents


#: dozens of processes, each of which imports everything: a machine that is busy takes its time
pytestmark = pytest.mark.timeout(300)


RBAC = "/apis/rbac.authorization.k8s.io/v1"
#: Kubernetes' own parts of the role "view", which its controllers put together
VIEW = "system:aggregate-to-view"
HISTORY, SPEND = HistoryQuery(), SpendQuery()


@pytest.fixture(autouse=True)
def home():
    """Commands are processes with an environment of their own here; the control plane's binaries are in the developer's real home."""


def rules_without(kind: str, name: str, resource: str) -> list[dict[str, Any]]:
    (found,) = [each for each in documents("view.yaml") if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return [rule for rule in found["rules"] if resource not in rule["resources"]]


class Site:
    """A controller behind its gate, with a ledger of two namespaces' spend; and people with tokens."""

    def __init__(self, scene: Scene, folder: Path) -> None:
        self.scene, self.folder, self.url = scene, folder, ""

    async def apply(self) -> None:
        """Apply deploy/view.yaml, with the controller's namespace in place of burster-system."""
        for document in documents("view.yaml"):
            whole = yaml.safe_load(yaml.safe_dump(document).replace("burster-system", self.scene.home))
            kind, metadata = whole["kind"], whole["metadata"]
            if kind == "ClusterRoleBinding":
                metadata["name"] += f"-{self.scene.home}"  # one for each scene on a plane
            await self.make(kind, whole)

    async def make(self, kind: str, body: dict[str, Any], namespace: str = "") -> None:
        plural = f"{kind.lower()}s"
        where = body["metadata"].get("namespace") or namespace
        group = "/api/v1" if kind == "ServiceAccount" else RBAC
        path = f"{group}/namespaces/{where}/{plural}" if where else f"{group}/{plural}"
        try:
            await self.scene.kube.create(path, body)
        except RemoteError as error:
            if error.kind != "AlreadyExists":
                raise

    async def somebody(self, name: str, *roles: tuple[str, str, str]) -> Path:
        """Return the kubeconfig of an account with roles: (kind, name, namespace)."""
        here = self.scene.namespace
        await self.make("ServiceAccount", {"metadata": {"name": name}}, here)
        for number, (kind, role, where) in enumerate(roles):
            binding = {
                "metadata": {"name": f"{name}-{number}"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
                "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": here}],
            }
            await self.make("RoleBinding", binding, where)
        token = await self.token(name, here)
        for kind, role, where in roles:
            path = f"{RBAC}/namespaces/{where}/roles/{role}" if kind == "Role" else f"{RBAC}/clusterroles/{role}"
            if role != VIEW:
                rules = orjson.loads(await self.scene.kube.get(path))["rules"]
                await self.until_known(token, rules[0]["resources"][0], where)
        return self.kubeconfig(token, name)

    async def token(self, account: str, namespace: str, *audiences: str) -> str:
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": [*audiences]}}
        return orjson.loads(await self.scene.kube.create(path, body))["status"]["token"]

    def kubeconfig(self, token: str, name: str) -> Path:
        """Return the scene's kubeconfig with another token; the lab knows but one."""
        if not self.scene.real:
            return self.scene.kubeconfig
        config = yaml.safe_load(self.scene.kubeconfig.read_text())
        config["users"][0]["user"] = {"token": token}
        path = self.folder / f"{name}.kubeconfig"
        path.write_text(yaml.safe_dump(config))
        return path

    async def through(self, kubeconfig: Path, ask: Any) -> Any:
        """Ask by the API server's proxy, on a thread."""

        def go() -> Any:
            with KubeSync.connect(kubeconfig=str(kubeconfig)) as kube:
                return ask(LiveController(ControllerClient.through(kube, self.scene.home), "", 1.0))

        return await asyncio.to_thread(go)

    async def straight(self, token: str, ask: Any, namespace: str = "") -> Any:
        """Ask at the address."""
        file = None
        if token:
            file = self.folder / "token"
            file.write_text(token + "\n")
        return await asyncio.to_thread(lambda: ask(LiveController(ControllerClient.at(self.url, file), namespace, 1.0)))

    async def until_known(self, token: str, resource: str, namespace: str) -> None:
        """Return when the authorizer has heard of a right of a token's owner."""
        config = self.kubeconfig(token, "waiting")
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {}}
        body["spec"] = {"namespace": namespace or "default"}
        async with await Kube.connect(KubeSettings(kubeconfig=str(config))) as kube, asyncio.timeout(30):
            resources: set[str] = set()
            while not {resource, "*"} & resources:
                review = orjson.loads(await kube.create("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", body))
                resources = {one for rule in review["status"]["resourceRules"] for one in rule["resources"]}
                await asyncio.sleep(0.02)


@pytest.fixture(params=["lab", pytest.param("real", marks=pytest.mark.plane)])
async def scene(request, tmp_path) -> AsyncIterator[Scene]:
    if request.param == "lab":
        async with scenes.lab_scene(tmp_path) as found:
            yield found
    else:
        async with scenes.real_scene(request.getfixturevalue("shared_plane")) as found:
            yield found


@pytest.fixture
async def site(scene: Scene, tmp_path: Path) -> AsyncIterator[Site]:
    site = Site(scene, tmp_path)
    await site.apply()
    # the controller as its own account, which has no right but those of view.yaml
    await site.make("ServiceAccount", {"metadata": {"name": "burster"}}, scene.home)
    token = await site.token("burster", scene.home)
    await site.until_known(token, "subjectaccessreviews", "")
    await site.until_known(await site.token("burster-ask", scene.home), "bursts", "")
    account = site.kubeconfig(token, "burster")
    ledger = tmp_path / "ledger.sqlite"
    tell_a_story(ledger)
    async with AsyncExitStack() as stack:
        kube = await stack.enter_async_context(await Kube.connect(KubeSettings(kubeconfig=str(account))))
        gate = TokenGate(kube, SystemClock())
        controller = scenes.controller(ledger, a_state("bank"), host=scene.host, gate=gate)
        site.url = await stack.enter_async_context(controller)
        await scene.controller_at(site.url)
        yield site


async def test_the_platform_team_asks_through_the_api_server(site: Site, tmp_path: Path):
    ops = await site.somebody("ops", ("Role", "burster-ask", site.scene.home))
    with Ledger.read(tmp_path / "ledger.sqlite") as read:
        settled = sum(spend.micro_usd for spend in read.spend())
    report = await site.through(ops, lambda controller: controller.spend(SPEND))
    assert (report.total.settled_micro_usd, report.source) == (settled, "the controller")
    assert (await site.through(ops, lambda controller: controller.status())).title == "burster-7"
    assert len((await site.through(ops, lambda controller: controller.history(HISTORY))).decisions) == 4
    assert (await site.through(ops, lambda controller: controller.why("batch-7"))).subject.bursts
    # and as a command, from its kubeconfig to its table
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "burster", "spend", "--kubeconfig", str(ops)),
        *("--controller-namespace", site.scene.home),
        stdout=-1,
        stderr=-1,
        cwd=scenes.ROOT,
        env=scenes.environment(),
    )
    out, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")
    assert b"bank/classic" in out


async def test_at_the_address_nobody_is_answered_unknown(site: Site, tmp_path: Path):
    for token, says in (
        ("", r"a token for the audience burster is needed; name a file that holds one with --token-file"),
        ("eyJhbGciOiJub25lIn0.e30.", "not valid"),
        (await site.token("burster-ask", site.scene.home), "not issued for the audience burster"),
    ):
        with pytest.raises(NoControllerError, match=says):
            await site.straight(token, lambda controller: controller.spend(SPEND))
    good = await site.token("burster-ask", site.scene.home, "burster")
    report = await site.straight(good, lambda controller: controller.spend(SPEND))
    assert report.total.settled_micro_usd == 123_400
    # probes need none, and nobody changes anything
    async with aiohttp.ClientSession() as session:
        async with session.get(site.url + "/livez") as answer:
            assert answer.status == 200
        for verb in ("POST", "PUT", "PATCH", "DELETE"):
            headers = {"X-Burster-Token": good}
            async with session.request(verb, site.url + "/v1/spend", headers=headers) as answer:
                assert answer.status == 405


#: the lab allows everybody everything
on_a_real_plane = pytest.mark.parametrize("scene", [pytest.param("real", marks=pytest.mark.plane)], indirect=True)


@on_a_real_plane
@pytest.mark.parametrize("missing", ["services/proxy", "serviceaccounts/token"])
async def test_with_less_than_the_role_the_controller_is_not_asked(site: Site, missing: str):
    scene = site.scene
    less = {"metadata": {"name": "less"}, "rules": rules_without("Role", "burster-ask", missing)}
    await site.make("Role", less, scene.home)
    ops = await site.somebody("ops", ("Role", "less", scene.home))
    says = "you may not use its services/proxy" if missing == "services/proxy" else "you get none .*serviceaccounts"
    with pytest.raises(NoControllerError, match=says):
        await site.through(ops, lambda controller: controller.spend(SPEND))


@on_a_real_plane
async def test_the_role_lets_its_holder_do_nothing_else(site: Site):
    scene = site.scene
    ops = await site.somebody("ops", ("Role", "burster-ask", scene.home))
    await put_burst(scene, a_burst(scene.namespace, 1))
    bursts = f"/apis/burster.dev/v1alpha1/namespaces/{scene.namespace}/bursts"
    service = f"/api/v1/namespaces/{scene.home}/services"
    async with await Kube.connect(KubeSettings(kubeconfig=str(ops))) as kube:
        for verb, path in (
            ("get", bursts),
            ("delete", f"{bursts}/burst-1"),
            ("get", service),
            ("create", f"{service}/burster:http/proxy/v1/spend"),
            ("delete", f"{service}/burster:http/proxy/v1/spend"),
            ("get", f"{service}/another:http/proxy/v1"),
            ("get", f"/api/v1/namespaces/{scene.home}/secrets"),
            ("create", f"/api/v1/namespaces/{scene.home}/serviceaccounts/burster/token"),
        ):
            ask = {"get": kube.get, "delete": kube.delete, "create": lambda path: kube.create(path, {})}[verb]
            with pytest.raises(RemoteError) as told:
                await ask(path)
            assert told.value.status == 403, (verb, path, str(told.value))


@on_a_real_plane
async def test_a_namespaces_user_sees_that_namespace_by_records_and_by_a_token_of_its_own(site: Site):
    scene = site.scene
    here = scene.namespace
    await put_burst(scene, a_burst(here, 1, phase="Released", settled_micro_usd=77, released_at_ms=T0))
    await put_burst(scene, a_burst(scene.home, 2, phase="Released", settled_micro_usd=5, released_at_ms=T0))
    user = await site.somebody("user", ("ClusterRole", "burster-view", here), ("ClusterRole", VIEW, here))
    with pytest.raises(NoControllerError, match="you may not use its services/proxy"):
        await site.through(user, lambda controller: controller.spend(SPEND))

    def by_records() -> None:
        with KubeSync.connect(kubeconfig=str(user)) as kube:
            with ClusterRecords(kube, here) as records:
                assert records.spend(SPEND).total.settled_micro_usd == 77
                assert records.status().bursts_by_phase == {"Released": 1}
                assert records.history(HISTORY).events == ()
                assert records.why("burst-1").subject is not None
                with pytest.raises(NotFoundError):
                    records.why("task-99")
                records.follow()
                assert records.status().spent_micro_usd == 77
            for namespace, says in (("", "in all namespaces .*name one of yours"), (scene.home, "burster-view allows")):
                with ClusterRecords(kube, namespace) as records, pytest.raises(InputError, match=says):
                    records.spend(SPEND)

    await asyncio.to_thread(by_records)
    token = await site.token("user", here, "burster")
    report = await site.straight(token, lambda controller: controller.spend(SPEND), here)
    assert report.total.settled_micro_usd == 0  # the ledger of this test is of another namespace
    for namespace in ("bank", ""):
        with pytest.raises(NoControllerError, match="may not list bursts"):
            await site.straight(token, lambda controller: controller.spend(SPEND), namespace)
    with pytest.raises(NoControllerError, match=r"may not list .* in namespace bank"):
        await site.straight(token, lambda controller: controller.why("bank/batch-7"))


@on_a_real_plane
@pytest.mark.parametrize("missing", ["tokenreviews", "subjectaccessreviews"])
async def test_a_controller_without_its_rights_admits_nobody_and_says_what_it_lacks(site: Site, missing: str):
    scene = site.scene
    role = {"metadata": {"name": f"less-{scene.home}"}}
    role["rules"] = rules_without("ClusterRole", "burster-review", missing)
    await site.make("ClusterRole", role)
    await site.make("ServiceAccount", {"metadata": {"name": "weak"}}, scene.home)
    binding = {
        "metadata": {"name": f"less-{scene.home}"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": f"less-{scene.home}"},
        "subjects": [{"kind": "ServiceAccount", "name": "weak", "namespace": scene.home}],
    }
    await site.make("ClusterRoleBinding", binding)
    account = site.kubeconfig(await site.token("weak", scene.home), "weak")
    good = await site.token("burster-ask", scene.home, "burster")
    if missing == "subjectaccessreviews":
        await site.until_known(await site.token("weak", scene.home), "tokenreviews", "")
    async with await Kube.connect(KubeSettings(kubeconfig=str(account))) as kube:
        kind = {"tokenreviews": "TokenReview", "subjectaccessreviews": "SubjectAccessReview"}[missing]
        with pytest.raises(
            BursterError, match=rf"could not make a {kind} \(Forbidden\); deploy/view.yaml has the right"
        ):
            await TokenGate(kube, SystemClock()).admit(good, "")
