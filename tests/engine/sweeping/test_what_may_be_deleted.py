"""What nobody claims is deleted where the target says so, and only what is this cluster's for certain."""

import itertools

import pytest

from burster.model import stimuli as s
from tests.engine.sweeping.conftest import GRACE, TAGS, TWO_MINUTES, Make, Swept, a_leak, a_part


def leak(engine: Swept, **listed: object) -> list[str]:
    """Show a VM that nobody claims for long enough; return what was to be deleted."""
    vm = a_leak(created_at_ms=engine.now, tags=listed.pop("tags", {}))  # type: ignore[arg-type]
    gone: list[str] = []
    for _ in range(6):
        engine.listed(vm, after_ms=TWO_MINUTES, **listed)  # type: ignore[arg-type]
        gone += engine.going
    return gone


def test_what_is_in_scope_by_its_tags_is_told_of_first_and_deleted_when_it_is_still_there(at: Make) -> None:
    engine = at(sweep_tags=TAGS)
    vm = a_leak(created_at_ms=engine.now, tags={**TAGS, "team": "bank"})
    engine.listed(vm, after_ms=GRACE - 1)
    assert not engine.codes(vm.name)
    engine.listed(vm, after_ms=1)
    assert engine.codes(vm.name) == ["VmUnclaimed"]
    assert not engine.going, "told of first"
    engine.listed(vm, after_ms=TWO_MINUTES)
    assert engine.going == [vm.name]
    assert engine.codes(vm.name) == ["VmUnclaimed", "SweepDeletes"]
    engine.listed(vm, after_ms=TWO_MINUTES)
    assert not engine.going, "its deletion is under way"
    engine.send(s.ResourceDeleted(target="azure", resource_id=vm.resource_id.upper()))
    assert engine.codes(vm.name)[-1] == "LeftoverGone"
    assert not engine.state.leftovers


def test_in_a_group_of_the_clusters_own_names_are_enough(at: Make) -> None:
    assert leak(at(sweep_exclusive=True)) == ["podvm-someone-0123abcd"]


@pytest.mark.parametrize(
    ("target", "listed"),
    [
        pytest.param({}, {"tags": TAGS}, id="no scope was declared"),
        pytest.param({"sweep_tags": TAGS}, {}, id="it has no tags"),
        pytest.param({"sweep_tags": TAGS}, {"tags": {"burster-cluster": "prod-2"}}, id="another cluster's tag"),
        pytest.param(
            {"sweep_exclusive": True}, {"tags": {"burster-cluster": "prod-2"}}, id="another cluster's in our group"
        ),
        pytest.param({"sweep_tags": {**TAGS, "env": "p"}}, {"tags": TAGS}, id="one of two tags"),
        pytest.param({"sweep_tags": TAGS, "sweep": "Report"}, {"tags": TAGS}, id="the target only reports"),
        pytest.param({"sweep_exclusive": True}, {"claimed": None}, id="nobody can say whose pods there are"),
        pytest.param({"sweep_exclusive": True, "sweep_grace_ms": 3_600_000}, {}, id="the grace is not over"),
    ],
)
def test_what_is_not_certain_is_not_deleted(at: Make, target: dict[str, object], listed: dict[str, object]) -> None:
    assert leak(at(**target), **listed) == []


def test_what_cloud_api_adaptor_has_a_record_of_is_somebodys_pod(at: Make) -> None:
    engine = at(sweep_exclusive=True)
    assert leak(engine, claimed=("podvm-someone-0123abcd",)) == []
    assert not engine.decisions


def test_a_failed_vm_goes_like_any_other(at: Make) -> None:
    engine = at(sweep_exclusive=True)
    vm = a_leak(created_at_ms=engine.now, provisioning_state="Failed")
    engine.listed(vm, after_ms=GRACE)
    engine.listed(vm, after_ms=TWO_MINUTES)
    assert engine.going == [vm.name]


def test_a_machine_without_a_burst_goes_by_its_clusters_own_tag(at: Make) -> None:
    engine = at()
    ours = a_leak("burstvm-db-1", created_at_ms=engine.now, tags=TAGS)
    theirs = a_leak("burstvm-db-2", created_at_ms=engine.now, tags={"burster-cluster": "prod-2"})
    untagged = a_leak("burstvm-db-3", created_at_ms=engine.now)
    gone: list[str] = []
    for _ in range(6):
        engine.listed(ours, theirs, untagged, after_ms=TWO_MINUTES)
        gone += engine.going
    assert gone == [ours.name]


def test_what_is_named_otherwise_is_not_even_told_of(at: Make) -> None:
    engine = at(sweep_exclusive=True)
    things = (
        a_leak("database-1", created_at_ms=0),
        a_leak("podvm-too-short", created_at_ms=0),
        a_part("Disk", "pvc-0123", created_at_ms=0),
        a_part("Nic", "podvm-a-0123abcd-nic", created_at_ms=0),
        a_part("Disk", "podvm-a-0123abcd", created_at_ms=0),
    )
    for _ in range(4):
        engine.listed(*things, after_ms=GRACE)
    assert not engine.decisions
    assert not engine.state.leftovers


def test_a_vm_that_was_made_anew_under_the_name_is_given_its_own_time(at: Make) -> None:
    engine = at(sweep_exclusive=True)
    engine.listed(a_leak(created_at_ms=engine.now), after_ms=GRACE)
    again = a_leak(created_at_ms=engine.now)
    engine.listed(again, after_ms=TWO_MINUTES)
    assert not engine.going
    engine.listed(again, after_ms=GRACE)
    assert not engine.going, "it is told of anew"
    engine.listed(again, after_ms=TWO_MINUTES)
    assert engine.going == [again.name]


def test_reports_and_deletions_are_bounded_and_all_come_in_the_end(at: Make) -> None:
    engine = at(sweep_exclusive=True)
    vms = {name: a_leak(name, created_at_ms=engine.now) for name in (f"podvm-x-{n:08x}" for n in range(230))}
    engine.now += GRACE
    told = []
    for _ in range(30):
        before = len(engine.decisions)
        engine.listed(*vms.values(), after_ms=TWO_MINUTES)
        told.append(sum(one.reasons[0].code == "VmUnclaimed" for one in engine.decisions[before:]))
        assert len(engine.going) <= 50
        for name in engine.going:
            engine.send(s.ResourceDeleted(target="azure", resource_id=vms.pop(name).resource_id))
    assert told[:3] == [100, 100, 30]
    assert not vms
    assert not engine.state.leftovers


def test_a_deletion_that_fails_is_tried_again_ever_later_and_told_of_once(at: Make) -> None:
    engine = at(sweep_exclusive=True)
    vm = a_leak(created_at_ms=engine.now - GRACE)
    asked: list[int] = []
    for minute in range(240):
        engine.listed(vm, after_ms=60_000)
        if engine.going:
            asked.append(minute)
            engine.send(
                s.InstructionFailed(
                    instruction="DeleteResource",
                    key=f"sweep/azure/{vm.name}",
                    subject="azure",
                    kind="Conflict",
                    message="a lock",
                )
            )
    waits = [after - before for before, after in itertools.pairwise(asked)]
    assert waits[:6] == [1, 2, 4, 8, 16, 32]
    assert set(waits[6:]) == {60}
    assert engine.codes(vm.name).count("SweepFails") == 1
    assert engine.codes(vm.name).count("SweepDeletes") == 1


def test_two_targets_of_one_group_tell_of_a_vm_once(at: Make) -> None:
    engine = at(sweep_exclusive=True)
    engine.send(s.TargetSeen(target=engine.state.targets["azure"].target.__class__(**_as_dict(engine), name="other")))
    vm = a_leak(created_at_ms=engine.now - GRACE)
    for _ in range(3):
        for name in ("azure", "other"):
            engine.listed(vm, target=name, after_ms=60_000)
    assert engine.codes(vm.name) == ["VmUnclaimed", "SweepDeletes"]


def _as_dict(engine: Swept) -> dict[str, object]:
    target = engine.state.targets["azure"].target
    return {name: getattr(target, name) for name in target.__struct_fields__ if name != "name"}
