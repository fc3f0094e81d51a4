"""A site can be left while VMs are being made: nothing of it goes on."""

import pytest

from burster.lab.lockstep import LAB_EPOCH_MS, LabClock, run_lockstep
from burster.lab.site import SiteOptions, open_site
from burster.model.pods import Resources


@pytest.mark.parametrize("after_s", [1, 20, 45, 200, 400])
def test_leaving_while_a_vm_is_made_or_runs(after_s: int) -> None:
    options = SiteOptions(nodes=(Resources(cpu_millicores=4_000, memory_bytes=8 * 1024**3),))
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "peer", "namespace": "default"},
        "spec": {"runtimeClassName": "kata-remote", "containers": [{"name": "c", "image": "registry.bank.example/x"}]},
    }

    async def main(clock: LabClock) -> int:
        async with open_site(clock, options) as site:
            site.store.create("pods", "default", pod)
            await clock.sleep(after_s)
        return clock.now_ms()

    ended_ms = run_lockstep(main, max_virtual_s=3_600)
    assert ended_ms - LAB_EPOCH_MS < (after_s + 60) * 1000
