"""What no record claims is told everywhere: in metrics, on the page, and in what was spent."""

from burster.model import stimuli as s
from burster.model.stimuli import Spend
from burster.runtime.views import Viewer
from burster.surfaces import words
from burster.surfaces.metrics import Metrics
from burster.surfaces.spending import SpendQuery, spend_report
from burster.surfaces.view import LeakView, StatusView
from tests.engine.sweeping.conftest import Swept, a_leak, a_part
from tests.support.builders import T0, a_policy, a_target, an_offering


LEAKS = (
    LeakView(target="azure", kind="Nic", count=1),
    LeakView(target="azure", kind="Vm", count=2, ours=2, cost_micro_usd_per_hour=240_000),
)


def test_metrics_tell_of_leftovers_by_target_and_kind() -> None:
    view = StatusView(at_ms=0, leaks=LEAKS, leaked_micro_usd=1_500_000)
    text = Metrics(lambda: view).exposition().decode()
    assert 'burster_leaked_resources{kind="Vm",target="azure"} 2.0' in text
    assert 'burster_leaked_usd_per_hour{target="azure"} 0.24' in text
    assert "burster_leaked_usd_total 1.5" in text


def test_a_line_tells_of_them() -> None:
    assert words.left_behind(LEAKS) == "1 network interfaces, 2 VMs at azure, $0.2400 an hour"
    assert words.left_behind(()) == ""


def test_the_view_counts_what_is_due() -> None:
    engine = Swept()
    engine.sync(
        s.PolicySeen(policy=a_policy()),
        s.TargetSeen(target=a_target(sweep_exclusive=True, sweep="Report")),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
    )
    old, young = (
        a_leak("podvm-old-0123abcd", created_at_ms=T0 - 3_600_000),
        a_leak("podvm-new-0123abcd", created_at_ms=T0),
    )
    engine.listed(old, young, a_part("Disk", "podvm-x-0123abcd-disk", created_at_ms=0))
    view = Viewer().view(engine.state, engine.now)
    assert view.leaks == (
        LeakView(target="azure", kind="Disk", count=1, ours=1),
        LeakView(target="azure", kind="Vm", count=1, ours=1, cost_micro_usd_per_hour=120_000),
    )
    assert view.leaked_micro_usd == 120_000


def test_what_leaks_cost_is_settled_and_no_burst() -> None:
    burst = Spend(burst="bank/b-1", uid="u", policy="bank/tasks", target="azure", at_ms=T0, micro_usd=100)
    leak = Spend(burst="leak/podvm-x", uid="leak/azure/podvm-x/1", policy="", target="azure", at_ms=T0, micro_usd=30)
    report = spend_report([burst, leak], [], SpendQuery(), now_ms=T0, source="x")
    assert [(row.policy, row.bursts, row.settled_micro_usd, row.leaked_micro_usd) for row in report.rows] == [
        ("bank/tasks", 1, 100, 0),
        ("", 0, 30, 30),
    ]
    assert (report.total.settled_micro_usd, report.total.leaked_micro_usd, report.total.bursts) == (130, 30, 1)
