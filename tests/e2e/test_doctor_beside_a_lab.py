"""`burster doctor` against the lab: all is right in a fresh one; then one thing after the other is broken, told with its cure, mended."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from burster.cli import EXIT_NO
from burster.lab.lockstep import LabClock, run_lockstep
from burster.lab.site import Site, open_site
from burster.model.errors import InputError
from burster.runtime.clock import SystemClock
from burster.runtime.doctor import DoctorOptions, Report, examine_all, rules_of
from burster.settings import Settings
from tests.support.broken_sites import BROKEN, FROM_LISTS, IMAGE, SUBNET
from tests.support.small_site import beside_the_target, one_node


RULES = """
apiVersion: burster.dev/v1alpha1
kind: BurstPolicy
metadata: {name: tasks, namespace: batch}
spec:
  workload: {podNamePattern: "task.*"}
  triggers: [{type: pending-pods, metadata: {pendingFor: 5s}}]
  placement: {targets: [azure-westeurope-tdx]}
"""
#: sizes that have a price in the region
SIZES = ["Standard_DC2es_v6", "Standard_DC4es_v6"]


def the_documents(folder: Path):
    """The policy and the target, which names image and subnet, allows one namespace, and sizes that have a price."""
    documents = list(beside_the_target(folder, RULES))
    for document in documents:
        if document.kind == "BurstTarget":
            document.object["spec"] |= {
                "image": IMAGE,
                "subnet": SUBNET,
                "sizes": SIZES,
                "allowedNamespaces": ["batch"],
            }
    return documents


def settings_for(site: Site) -> Settings:
    return Settings.model_validate(
        {
            "kube": {"kubeconfig": site.kubeconfig},
            "arm": {"base_url": site.arm.url, "auth": "none", "patience_ms": 0},
            "prices": {"url": site.arm.url, "cache_dir": "-"},
        }
    )


async def look(site: Site) -> Report:
    return await examine_all(settings_for(site), DoctorOptions(), lambda _: None)


def complaints(report: Report) -> dict[str, tuple[str, str, str]]:
    return {
        one.check: (one.verdict, one.sentence, one.cure)
        for one in report.everything
        if one.verdict not in {"ok", "skipped"}
    }


def test_one_thing_after_the_other_is_broken_told_and_mended(tmp_path):
    async def main(clock: LabClock) -> list[str]:
        wrong: list[str] = []
        async with open_site(clock, one_node(tmp_path, the_documents(tmp_path), ("batch",))) as site:
            fresh = await look(site)
            assert complaints(fresh) == {}
            assert [one.check for one in fresh.everything if one.verdict == "skipped"] == ["TrusteeUnreachable"]
            assert len(fresh.everything) > 30
            for name, broken in (BROKEN | FROM_LISTS).items():
                broken.breaks(site)
                report = await look(site)
                told = complaints(report).get(broken.check)
                if told is None or broken.sentence not in told[1] or broken.cure not in told[2]:
                    wrong.append(f"{name}: {told} of {complaints(report)}")
                if report.well is (told is not None and told[0] == "problem"):
                    wrong.append(f"{name}: well is {report.well}")
                blocking = {one.check for one in report.everything if one.blocks}
                if (broken.check in blocking) is not broken.blocks:
                    wrong.append(f"{name}: blocking are {blocking}")
                broken.mends(site)
            assert complaints(await look(site)) == {}
        return wrong

    wrong = run_lockstep(main, speed=1.0, epoch_ms=SystemClock().now_ms())
    assert not wrong, "\n".join(wrong)


async def burster(site: Site, *words: str) -> tuple[int, str, str]:
    settings = settings_for(site)
    environment = {
        **os.environ,
        "BURSTER_ARM__BASE_URL": settings.arm.base_url,
        "BURSTER_ARM__AUTH": "none",
        "BURSTER_PRICES__URL": settings.prices.url,
        "BURSTER_PRICES__CACHE_DIR": "-",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "burster",
        "doctor",
        "--kubeconfig",
        site.kubeconfig,
        *words,
        stdout=-1,
        stderr=-1,
        env=environment,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


@pytest.mark.long
def test_the_command_shows_every_check_and_its_exit_code_says_whether_all_is_well(tmp_path):
    async def main(clock: LabClock) -> None:
        async with open_site(clock, one_node(tmp_path, the_documents(tmp_path), ("batch",))) as site:
            code, out, err = await burster(site)
            assert (code, err) == (0, ""), out + err
            assert "VMs are confidential (DISABLECVM is false)" in out
            assert "1 not asked." in out.splitlines()[-1]
            BROKEN["DISABLECVM"].breaks(site)
            code, out, err = await burster(site, "--target", "azure-westeurope-tdx", "--offline")
            assert (code, err) == (EXIT_NO, "")
            assert '→ Set DISABLECVM to "false" in peer-pods-cm and restart cloud-api-adaptor.' in out
            last = out.splitlines()[-1]
            assert last.endswith("Nothing new starts at azure-westeurope-tdx until what is wrong there is mended.")

    run_lockstep(main, speed=1.0, epoch_ms=SystemClock().now_ms())


def test_a_target_in_a_file_is_looked_at_before_it_is_applied(tmp_path):
    async def main(clock: LabClock) -> None:
        async with open_site(clock, one_node(tmp_path, the_documents(tmp_path), ("batch",))) as site:
            kept = site.store.get("bursttargets.burster.dev", "", "azure-westeurope-tdx")
            kept["spec"]["azure"]["region"] = "nowhere1"
            draft = {key: kept[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": {"name": "draft"}}
            report = await examine_all(settings_for(site), DoctorOptions(rules=rules_of([draft])), lambda _: None)
            assert [target.target for target in report.targets] == ["draft"]
            assert "The subscription has no region 'nowhere1'." in complaints(report)["RegionUnknown"][1]
            with pytest.raises(InputError, match="there is no BurstTarget nowhere: there is azure-westeurope-tdx"):
                await examine_all(settings_for(site), DoctorOptions(target="nowhere"), lambda _: None)

    run_lockstep(main, speed=1.0, epoch_ms=SystemClock().now_ms())


def test_a_cluster_that_is_not_there_is_a_report_and_no_traceback(tmp_path):
    config = tmp_path / "kubeconfig"
    config.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: c, cluster: {server: 'http://127.0.0.1:9'}}]\n"
        "users: [{name: u, user: {token: t}}]\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n"
    )
    settings = Settings.model_validate({"kube": {"kubeconfig": str(config)}})
    report = asyncio.run(examine_all(settings, DoctorOptions(offline=True), lambda _: None))
    assert not report.well
    assert {one.verdict for one in report.findings} == {"problem", "skipped"}
    assert report.notes
