"""People with kubectl, and one with the cloud's own API, on a real control plane: each does something else to bursts that serve.

Everybody works at the same time, each in a namespace with a policy, a service and a task, none of which has room on-prem. What it is that
they did is read afterwards from the events and from the ledger.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import nullcontext
from pathlib import Path

import aiohttp
import pytest
import yaml

from burster.ledger import Ledger
from burster.policy.records import DRAIN_FINALIZER
from tests.e2e.plane_evidence import account_for, phase_of
from tests.e2e.real_lab import RULES, SERVICE, a_task
from tests.e2e.real_plane import TARGET, Place, a_place


pytestmark = [pytest.mark.long, pytest.mark.plane(whole=True), pytest.mark.timeout(900)]
WHAT = ("burst", "pod", "vm", "finalizer", "record", "policy", "namespace", "class")
NAMESPACES = tuple(f"p-{what}" for what in WHAT)
#: within it whoever does something finds the task still at work; then the scenes wait for its end
TASK_S = 40


def in_namespace(text: str, namespace: str) -> str:
    return text.replace("namespace: default", f"namespace: {namespace}").replace(
        "name: web,", f"name: {web(namespace)},"
    )


def web(namespace: str) -> str:
    return f"web-{namespace}"


ALL_RULES = "".join(
    in_namespace(RULES, namespace).replace("namePattern: web", f"namePattern: {web(namespace)}") + "---\n"
    for namespace in NAMESPACES
)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    target = yaml.safe_load(TARGET.read_text())
    target["spec"]["allowedNamespaces"] = [*NAMESPACES]
    # how long a listing of the cloud is given before a VM that is not in it is asked for
    target["spec"]["sweep"]["grace"] = "1m"
    asked_for = {"rules": ALL_RULES, "target": yaml.safe_dump(target), "namespaces": NAMESPACES}
    async with a_place(tmp_path, node_cpu="500m", slots=40, **asked_for) as place:
        yield place


class Someone:
    """One who works in a namespace of their own."""

    def __init__(self, place: Place, what: str) -> None:
        self.place = place
        self.namespace = f"p-{what}"
        self.task = f"task-{100 + WHAT.index(what)}"

    async def kubectl(self, *arguments: str) -> str:
        return await self.place.kubectl("-n", self.namespace, *arguments)

    async def begin(self) -> None:
        task = a_task(100 + NAMESPACES.index(self.namespace), TASK_S)
        await self.place.apply(in_namespace(SERVICE.replace("replicas: 6", "replicas: 1") + task, self.namespace))

    async def own(self, kind: str) -> list[dict]:
        return [each for each in await self.place.all_of(kind) if each["metadata"]["namespace"] == self.namespace]

    async def serving(self, *strategies: str) -> dict[str, dict]:
        """Return the service's and the task's burst, once both serve, or those of some strategies."""
        wanted = {*(strategies or ("Clone", "Move"))}
        found: dict[str, dict] = {}

        async def serve() -> bool:
            for each in await self.own("bursts"):
                if phase_of(each) == "Serving":
                    found[each["spec"]["strategy"]] = each
            return set(found) >= wanted

        await self.place.until(f"they serve in {self.namespace}", serve)
        return found

    async def until(self, what: str, happens) -> None:
        await self.place.until(f"{what} in {self.namespace}", happens)

    async def gone(self, *uids: str) -> None:
        """Wait until these bursts are over: removed, or Released and their VMs gone."""

        async def over() -> bool:
            phases = {each["metadata"]["uid"]: phase_of(each) for each in await self.own("bursts")}
            return all(phases.get(uid, "Released") == "Released" for uid in uids)

        await self.until("they are over", over)

    async def another(self, strategy: str, than: str) -> None:
        """Wait until another burst answers."""

        async def answers() -> bool:
            return any(
                each["spec"]["strategy"] == strategy and each["metadata"]["uid"] != than and phase_of(each) == "Serving"
                for each in await self.own("bursts")
            )

        await self.until(f"another {strategy}", answers)

    async def home(self) -> None:
        """End the service, wait for the task, and until nothing is out any more."""
        await self.kubectl("scale", f"deployment/{web(self.namespace)}", "--replicas=0")

        async def done() -> bool:
            return all(phase_of(each) == "Released" for each in await self.own("bursts")) and not [
                pod for pod in await self.own("pods") if pod["status"]["phase"] in {"Pending", "Running"}
            ]

        await self.until("everything is home", done)

    def reasons(self) -> set[str]:
        """Return what the ledger tells of this namespace."""
        with Ledger.read(self.place.ledger) as ledger:
            found = ledger.decisions(limit=1_000_000)
            return {
                reason.code
                for each in found
                if self.namespace in {each.subject.partition("/")[0], each.burst.partition("/")[0]}
                for reason in each.reasons
            }

    def told_of(self, subject: str) -> list[str]:
        """Return the sentences of what the ledger tells of a pod."""
        with Ledger.read(self.place.ledger) as ledger:
            found = ledger.decisions(limit=1_000_000)
            return [reason.sentence for each in found if each.subject == subject for reason in each.reasons]

    async def events(self) -> str:
        return await self.kubectl("get", "events", "-o", "custom-columns=R:.reason,K:.involvedObject.kind,M:.message")


async def deletes_all_bursts(place: Place) -> None:
    me = Someone(place, "burst")
    both = await me.serving()
    await me.kubectl("delete", "bursts", "--all", "--wait=false")
    await me.gone(*(each["metadata"]["uid"] for each in both.values()))
    # there is still no room on-prem, and the policy still holds
    await me.another("Clone", both["Clone"]["metadata"]["uid"])
    await me.another("Move", both["Move"]["metadata"]["uid"])
    await me.home()
    assert "RecordDeleted" in me.reasons()


async def deletes_cloud_pods(place: Place) -> None:
    me = Someone(place, "pod")
    both = await me.serving()
    await me.kubectl("delete", "pod", both["Clone"]["spec"]["podName"], me.task, "--wait=false")
    await me.gone(*(each["metadata"]["uid"] for each in both.values()))
    await me.another("Clone", both["Clone"]["metadata"]["uid"])
    await me.home()
    assert me.task not in {pod["metadata"]["name"] for pod in await me.own("pods")}, "who deletes a task wants it gone"
    runs = place.hollow.runs.by_task()[f"{me.namespace}/{me.task}"]
    assert [run.outcome for run in runs] == ["Deleted"]


async def deletes_vms(place: Place) -> None:
    me = Someone(place, "vm")
    both = await me.serving()
    pods = [each["spec"]["podName"] for each in both.values()]
    async with aiohttp.ClientSession() as cloud:
        for vm in place.arm.vms.values():
            if any(f"-{pod}-" in vm.name for pod in pods):
                url = f"{place.arm.url}{vm.resource_id}?api-version=2026-04-01"
                async with cloud.delete(url, headers={"Authorization": "Bearer lab"}) as answer:
                    assert answer.status == 202, await answer.text()
    await me.gone(*(each["metadata"]["uid"] for each in both.values()))
    await me.another("Clone", both["Clone"]["metadata"]["uid"])
    await me.home()
    assert "VmLost" in me.reasons()


async def removes_finalizers(place: Place) -> None:
    me = Someone(place, "finalizer")
    both = await me.serving()
    for each in both.values():
        name = each["metadata"]["name"]
        await me.kubectl("patch", "burst", name, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
        await me.kubectl("delete", "burst", name, "--wait=false")
    await me.gone(*(each["metadata"]["uid"] for each in both.values()))
    await me.another("Clone", both["Clone"]["metadata"]["uid"])
    await me.home()
    assert "RecordGone" in me.reasons()


async def edits_records(place: Place) -> None:
    me = Someone(place, "record")
    both = await me.serving()
    spec = {"priceMicroUsdPerHour": 1, "policy": "nobody-knows", "podName": "other"}
    status = {"phase": "Released", "settledMicroUsd": 0}
    clone, move = (both[strategy]["metadata"]["name"] for strategy in ("Clone", "Move"))
    for name in (clone, move):
        # a server that knows of rules in schemas refuses it
        edit = nullcontext() if place.plane.version() < (1, 25) else pytest.raises(AssertionError, match="nvalid")
        with edit:
            await me.kubectl("patch", "burst", name, "--type=merge", "-p", json.dumps({"spec": spec}))
    await me.kubectl(
        "patch", "burst", clone, "--subresource=status", "--type=merge", "-p", json.dumps({"status": status})
    )
    await asyncio.sleep(3)
    await me.home()


async def deletes_policies(place: Place) -> None:
    me = Someone(place, "policy")
    await me.serving()
    policies = await me.own("policies")
    assert {tuple(each["metadata"]["finalizers"]) for each in policies} == {(DRAIN_FINALIZER,)}
    await me.kubectl("delete", "burstpolicies", "--all", "--wait=false")

    async def drained() -> bool:
        bursts, left = await me.own("bursts"), await me.own("policies")
        out = {each["spec"]["policy"] for each in bursts if phase_of(each) != "Released"}
        assert out <= {each["metadata"]["name"] for each in left}, "a policy goes when everything of it is home"
        return not left and not bursts

    await me.until("the policies drain, then go", drained)
    assert "PolicyGone" in me.reasons()
    assert [pod["metadata"]["name"] for pod in await me.own("pods") if "nodeName" in pod["spec"]] == []
    await me.kubectl("delete", "pod", me.task)
    await me.kubectl("delete", "deployment", web(me.namespace))


async def deletes_the_namespace(place: Place) -> None:
    me = Someone(place, "namespace")
    await me.serving()
    await me.kubectl("delete", "namespace", me.namespace, "--wait=false")

    async def is_gone() -> bool:
        return me.namespace not in {each["metadata"]["name"] for each in await place.all_of("/api/v1/namespaces")}

    await me.until("it goes", is_gone)
    runs = place.hollow.runs.by_task()[f"{me.namespace}/{me.task}"]
    assert [run.outcome for run in runs] == ["Deleted"]


async def deletes_the_runtime_class(place: Place) -> None:
    """Goes last: it concerns everybody."""
    me = Someone(place, "class")
    both = await me.serving("Clone")
    kept = json.loads(await me.kubectl("get", "runtimeclass", "kata-remote", "-o", "json"))
    await me.kubectl("delete", "runtimeclass", "kata-remote")
    await place.apply(in_namespace(a_task(200, 4), me.namespace))

    async def told() -> bool:
        return any("kata-remote" in sentence for sentence in me.told_of(f"{me.namespace}/task-200"))

    await me.until("it is told", told)
    now = {each["metadata"]["uid"]: each["status"]["phase"] for each in await me.own("bursts")}
    assert now[both["Clone"]["metadata"]["uid"]] == "Serving", "what runs goes on"
    again = {key: kept[key] for key in ("apiVersion", "kind", "handler", "scheduling", "overhead") if key in kept}
    await place.apply(json.dumps(again | {"metadata": {"name": "kata-remote"}}))

    # the first one rests for minutes; the next finds the class
    await me.kubectl("delete", "pod", "task-200")
    await place.apply(in_namespace(a_task(201, 4), me.namespace))

    async def done() -> bool:
        pods = {pod["metadata"]["name"]: pod["status"]["phase"] for pod in await me.own("pods")}
        return pods.get("task-201") == "Succeeded"

    await me.until("the next task runs", done)
    await me.home()


async def test_what_people_do_while_bursts_run(place: Place) -> None:
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    everybody = [Someone(place, what) for what in WHAT]
    for each in everybody:
        await each.begin()
    controller = place.controller()
    scenes = (
        *(deletes_all_bursts, deletes_cloud_pods, deletes_vms, removes_finalizers),
        *(edits_records, deletes_policies, deletes_the_namespace),
    )
    done = await asyncio.gather(*(scene(place) for scene in scenes), return_exceptions=True)
    failed = [error for error in done if isinstance(error, BaseException)]
    if failed:
        raise BaseExceptionGroup("what people did", failed)
    await deletes_the_runtime_class(place)
    await place.ends_well(controller, refused=True)
    forgotten = {
        "p-pod",
        "p-finalizer",
        "p-policy",
        "p-namespace",
    }  # whose tasks somebody has deleted, or their manifest
    tasks = [f"{each.namespace}/{each.task}" for each in everybody if each.namespace not in forgotten]
    blind_ms = int((loop.time() - began_s) * 1000)
    refused_in = ("p-namespace", "p-class")
    await account_for(place, ALL_RULES, [*tasks, "p-class/task-201"], blind_ms=blind_ms, refused_in=refused_in)
    for each in everybody:
        if each.namespace != "p-namespace":
            assert "BurstServing" in await each.events()
