"""`burster doctor --probe-network` in the lab: what workers and a canary say of the network, and that nothing of it is left behind."""

import asyncio
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from burster.adaptors.probe_pods import LABEL
from burster.cli.probe import _parts, _try_all
from burster.clients.network_probe import ProbeReport
from burster.lab.caa.config import EXTENDED_RESOURCE
from burster.lab.lockstep import LabClock, run_lockstep
from burster.lab.site import Site, open_site
from burster.model.errors import InputError
from burster.runtime.clock import SystemClock
from burster.runtime.doctor import DoctorOptions, Report, examine_all
from burster.runtime.probing import ProbeOptions
from tests.e2e.test_doctor_beside_a_lab import settings_for, the_documents
from tests.support.broken_sites import set_config
from tests.support.small_site import one_node


NETWORK = ("WorkerCannotReachVms", "VxlanBlocked", "PathMtuSmall", "VmCannotReach")
PROBES = ProbeOptions(address="127.0.0.1", image="burster.bank.example:5000/burster:1")


class Probes:
    """Plays what runs in probes: the very code, on this machine's loopback. Remembers the pods."""

    def __init__(self) -> None:
        self.pods: list[dict[str, Any]] = []
        self.canary_code = 0
        self.stuck = False

    async def __call__(self, pod: dict[str, Any]) -> tuple[int, str] | None:
        if LABEL not in pod["metadata"].get("labels", {}):
            return None
        self.pods.append(pod)
        if self.stuck:
            return None
        command = pod["spec"]["containers"][0]["command"]
        assert command[:2] == ["burster", "probe"]
        if pod["spec"].get("runtimeClassName"):
            return self.canary_code, ""  # inside a confidential VM nothing but that comes out
        words = dict(zip(command[2::2], command[3::2], strict=True))
        tried = await _try_all([(what.removeprefix("--"), *_parts(address)) for what, address in words.items()])
        return 0, msgspec.json.encode(ProbeReport(tried=tuple(tried))).decode()


async def look(site: Site, probe: ProbeOptions, *, agree: bool = False) -> Report:
    return await examine_all(settings_for(site), DoctorOptions(probe=probe), lambda _: None, lambda _: agree)


def network(report: Report) -> dict[str, tuple[str, str]]:
    return {one.check: (one.verdict, one.sentence) for one in report.everything if one.check in NETWORK}


def left_behind(site: Site) -> list[str]:
    namespaces = [one["metadata"]["name"] for one in site.store.list("namespaces", labels=LABEL)]
    return namespaces + [one["metadata"]["name"] for one in site.store.list("pods", labels=LABEL)]


def in_a_lab(tmp_path, play) -> None:
    async def main(clock: LabClock) -> None:
        async with open_site(clock, one_node(tmp_path, the_documents(tmp_path), ("batch",))) as site:
            site.cluster.kubelets.played = probes = Probes()
            await play(site, probes)

    run_lockstep(main, speed=1.0, epoch_ms=SystemClock().now_ms())


async def gone(site: Site) -> None:
    for _ in range(100):
        if not left_behind(site):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(left_behind(site))


def test_each_worker_tries_the_path_and_nothing_is_left(tmp_path):
    async def play(site: Site, probes: Probes) -> None:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        set_config(site, FORWARDER_PORT=str(port), VXLAN_PORT="9")
        async with server:
            found = network(await look(site, PROBES))
        assert found["WorkerCannotReachVms"] == ("ok", f"From 2 workers: 127.0.0.1:{port}.")
        assert found["VxlanBlocked"] == ("ok", "127.0.0.1:9: the host answers.")
        assert found["PathMtuSmall"][0] == "ok"
        assert found["VmCannotReach"][0] == "skipped"
        assert sorted(pod["spec"]["nodeName"] for pod in probes.pods) == ["gateway-1", "gateway-2"]
        for pod in probes.pods:
            spec = pod["spec"]
            assert spec["hostNetwork"] is True
            assert spec["automountServiceAccountToken"] is False
            context = spec["containers"][0]["securityContext"]
            assert (context["runAsNonRoot"], context["readOnlyRootFilesystem"]) == (True, True)
            assert context["capabilities"] == {"drop": ["ALL"]}
        refused = network(await look(site, PROBES))  # nobody listens any more, and the host says so
        assert refused["WorkerCannotReachVms"][0] == "warning"
        await gone(site)

    in_a_lab(tmp_path, play)


@pytest.mark.long
def test_a_canary_says_by_its_exit_code_what_a_vm_can_not_reach_and_its_vm_goes(tmp_path):
    async def play(site: Site, probes: Probes) -> None:
        site.arm.reconfigure(create_median_ms=100, create_p95_ms=100, delete_min_ms=100, delete_max_ms=100)
        canary = msgspec.structs.replace(PROBES, canary=True)
        assert network(await look(site, canary))["VmCannotReach"] == ("skipped", "Nobody has agreed to its price.")
        assert not site.arm.vms
        probes.canary_code = 0b10
        told = network(await look(site, canary, agree=True))["VmCannotReach"]
        assert told == ("problem", "From inside a VM there is no way to trustee.example.com:8080.")
        (pod,) = [one for one in probes.pods if one["spec"].get("runtimeClassName")]
        assert pod["metadata"]["annotations"]["io.katacontainers.config.hypervisor.machine_type"] == "Standard_DC2es_v6"
        assert pod["spec"]["containers"][0]["resources"]["limits"] == {EXTENDED_RESOURCE: "1"}
        for _ in range(600):
            if not site.arm.vms:
                break
            await asyncio.sleep(0.1)
        assert not site.arm.vms
        await gone(site)

    in_a_lab(tmp_path, play)


def test_what_is_interrupted_leaves_nothing_either(tmp_path):
    async def play(site: Site, probes: Probes) -> None:
        probes.stuck = True
        looking = asyncio.create_task(look(site, PROBES))
        while len(probes.pods) < 2:  # noqa: ASYNC110 - they tell nobody
            await asyncio.sleep(0.05)
        assert left_behind(site)
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking
        await gone(site)

    in_a_lab(tmp_path, play)


def test_without_an_address_or_an_image_it_says_what_is_missing(tmp_path):
    async def play(site: Site, _probes: Probes) -> None:
        told = network(await look(site, ProbeOptions(image="burster")))
        assert told["WorkerCannotReachVms"] == (
            "skipped",
            "No pod VM runs that could be probed: name an address in the subnet with --probe-address.",
        )
        with pytest.raises(InputError, match="--probe-image"):
            await look(site, ProbeOptions(address="127.0.0.1"))
        assert not left_behind(site)

    in_a_lab(tmp_path, play)
