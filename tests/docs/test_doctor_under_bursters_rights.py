"""`burster doctor` run in burster's own pod: the shipped rights are enough for all that is about a target, and the rest says so."""

from burster.lab.lockstep import LabClock, run_lockstep
from burster.lab.site import open_site
from burster.runtime.clock import SystemClock
from tests.docs.rights import Rights
from tests.e2e.test_doctor_beside_a_lab import complaints, look, the_documents
from tests.support.small_site import one_node


def test_the_shipped_rights_are_enough_for_everything_about_a_target(tmp_path):
    rights = Rights("batch")

    async def main(clock: LabClock) -> None:
        async with open_site(clock, one_node(tmp_path, the_documents(tmp_path), ("batch",))) as site:
            site.api.faults = rights
            report = await look(site)
            assert complaints(report) == {}
            (target,) = report.targets
            assert [one.check for one in target.findings if one.verdict != "ok"] == ["TrusteeUnreachable"]
            skipped = {one.check for one in report.findings if one.verdict == "skipped"}
            assert skipped == {"CrdsOutdated", "NamespacesNotOptedIn", "WebhookMissing"}

    run_lockstep(main, speed=1.0, epoch_ms=SystemClock().now_ms())
